/** A call of a function with its arguments, as an engine takes it. */
import type { CallSpec, FunctionSpec, HandleRef } from "../engine/protocol";
import { InvalidArgumentError } from "../errors";
import { show } from "../validate";
import { PyHandle, writingFor } from "./handle";
import { type JsCallable, JsSource, makeJsSource } from "./js-source";
import { PySource } from "./source";
import { packArguments } from "./spooled";
import { type PyKwargs, type PyValue, encodeDocument } from "./values";

/** What runs, and what it takes. */
export type ComposedCall = Pick<CallSpec, "fn" | "arguments" | "handles">;

/**
 * Throws InvalidArgumentError for what is no function or cannot travel, LazyclusterError for objects that are gone.
 *
 * @param process the kept process that it goes to, if any.
 */
export function composeCall(
  fn: unknown,
  args: readonly PyValue[],
  kwargs: PyKwargs,
  what: string,
  process: object | null = null,
): ComposedCall {
  if (fn instanceof PySource) return composeSpec(fn.spec, args, kwargs, fn.name, process, fn.bound);
  if (fn instanceof JsSource) return composeSpec(fn.spec, args, kwargs, fn.name, process, fn.context);
  if (typeof fn === "function") return composeCall(makeJsSource(fn as JsCallable), args, kwargs, what, process);
  if (!(fn instanceof PyHandle)) {
    throw new InvalidArgumentError(
      `${what} takes a Python function: py\`def f(x): …\`, pyFile(path, name), pyModule(module, name), or a handle of one, ` +
        `or a JavaScript function: jsFunction((x) => …, { context }); not ${show(fn)}.`,
    );
  }
  const id = fn.idFor(process);
  if (id !== null) return composeSpec({ kind: "ref", id }, args, kwargs, fn.type, process);
  const call = composeSpec({ kind: "value" }, args, kwargs, fn.type, process);
  const { length } = call.handles;
  return { ...call, fn: { kind: "pickle", handle: length }, handles: [...call.handles, fn.ref()] };
}

/** The same for what needs no function. */
export function composeSpec(
  fn: FunctionSpec,
  args: readonly PyValue[],
  kwargs: PyKwargs,
  what: string,
  process: object | null = null,
  bind: Readonly<Record<string, PyValue>> = {},
): ComposedCall {
  const document = writingFor(process, () => encodeDocument({ args, kwargs, bind }, what));
  return { fn, arguments: packArguments(document), handles: document.attached.map(refOf) };
}

function refOf(object: unknown): HandleRef {
  if (!(object instanceof PyHandle)) throw new TypeError("only handles travel beside a document");
  return object.ref();
}
