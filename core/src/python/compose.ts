/** A call of a function with its arguments, as an engine takes it. */
import type { CallSpec, FunctionSpec, HandleRef } from "../engine/protocol";
import { InvalidArgumentError } from "../errors";
import { show } from "../validate";
import { PyHandle, writingFor } from "./handle";
import { JsSource } from "./js-source";
import { type Runnable, toSource } from "./runnable";
import { packArguments } from "./spooled";
import { type PyKwargs, type PyValue, encodeDocument } from "./values";

/**
 * The handles that a call names, by the list that it takes along. A step and an execution have that very list, so no object is
 * freed while one of them may need it; what is sent to the engine is a copy without them.
 */
const needed = new WeakMap<readonly HandleRef[], readonly PyHandle[]>();

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
  if (id !== null) return composeSpec({ kind: "ref", id }, args, kwargs, name, process, {}, [fn]);
  const call = composeSpec({ kind: "value" }, args, kwargs, name, process);
  const { length } = call.handles;
  const handles = [...call.handles, fn.ref()];
  needed.set(handles, [...(needed.get(call.handles) ?? []), fn]);
  return { ...call, fn: { kind: "pickle", handle: length }, handles };
}

/** The same for what needs no function. @param more handles that it needs beside those in its values. */
export function composeSpec(
  fn: FunctionSpec,
  args: readonly PyValue[],
  kwargs: PyKwargs,
  what: string,
  process: object | null = null,
  bind: Readonly<Record<string, PyValue>> = {},
  more: readonly PyHandle[] = [],
): ComposedCall {
  const { written: document, handles: named } = writingFor(process, () => encodeDocument({ args, kwargs, bind }, what));
  const handles = document.attached.map(refOf);
  if (fn.kind === "js" && handles.length > 0) {
    throw new InvalidArgumentError(
      `${what}: a JavaScript function takes no Python objects. Give it what the handle's value() gives, or call a Python function.`,
    );
  }
  needed.set(handles, [...named, ...more]);
  // Last of what may throw, because it may keep a file.
  return { name: what, fn, arguments: packArguments(document), handles };
}

function refOf(object: unknown): HandleRef {
  if (!(object instanceof PyHandle)) throw new TypeError("only handles travel beside a document");
  return object.ref();
}
