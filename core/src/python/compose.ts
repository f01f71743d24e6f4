/** A call of a function with its arguments, as an engine takes it. */
import type { CallSpec, FunctionSpec, HandleRef } from "../engine/protocol";
import { InvalidArgumentError } from "../errors";
import { show } from "../validate";
import { PyHandle, writingFor } from "./handle";
import { JsSource } from "./js-source";
import { type Runnable, toSource } from "./runnable";
import { packArguments } from "./spooled";
import { type PyKwargs, type PyValue, encodeDocument } from "./values";

/** What runs, and what it takes. */
export interface ComposedCall extends Pick<CallSpec, "fn" | "arguments" | "handles"> {
  /** Of what runs, for people. */
  readonly name: string;
}

/**
 * Throws InvalidArgumentError for what is no function or cannot travel, LazyclusterError for objects that are gone.
 *
 * @param process the kept process that it goes to, if any.
 */
export function composeCall(
  fn: Runnable,
  args: readonly PyValue[],
  kwargs: PyKwargs,
  what: string,
  process: object | null = null,
): ComposedCall {
  if (!(fn instanceof PyHandle)) {
    const source = toSource(fn, what);
    if (source instanceof JsSource && process !== null) {
      throw new InvalidArgumentError(`${what}: a kept process of Python runs no JavaScript functions: ${show(fn)}.`);
    }
    return composeSpec(source.spec, args, kwargs, source.name, process, source.bound);
  }
  const name = fn.repr;
  const id = fn.idFor(process);
  if (id !== null) return composeSpec({ kind: "ref", id }, args, kwargs, name, process);
  const call = composeSpec({ kind: "value" }, args, kwargs, name, process);
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
  return { name: what, fn, arguments: packArguments(document), handles: document.attached.map(refOf) };
}

function refOf(object: unknown): HandleRef {
  if (!(object instanceof PyHandle)) throw new TypeError("only handles travel beside a document");
  return object.ref();
}
