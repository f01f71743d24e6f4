/** What `runFunction` runs. */
import { InvalidArgumentError } from "../errors";
import { show } from "../validate";
import type { PyHandle } from "./handle";
import { type JsCallable, type JsFunction, JsSource, makeJsSource } from "./js-source";
import { type PyFunction, PySource } from "./source";

/** A Python function, or a JavaScript one (plain ones travel without what they captured). */
export type Runnable = PyFunction | PyHandle | JsFunction | JsCallable;

/** A JavaScript function, in either form. */
export function isJavaScript(fn: unknown): fn is JsFunction | JsCallable {
  return fn instanceof JsSource || (typeof fn === "function" && !(fn instanceof PySource));
}

/** Throws InvalidArgumentError for what is no function. */
export function toSource(fn: unknown, what: string): PySource | JsSource {
  if (fn instanceof PySource || fn instanceof JsSource) return fn;
  if (typeof fn === "function") return makeJsSource(fn as JsCallable);
  throw new InvalidArgumentError(
    `${what} takes a Python function: py\`def f(x): …\`, pyFile(path, name), pyModule(module, name), a handle of one, ` +
      `or a JavaScript function: jsFunction((x) => …, { context }); not ${show(fn)}.`,
  );
}
