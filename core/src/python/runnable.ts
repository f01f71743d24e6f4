import type { PyHandle } from "./handle";
import type { JsCallable, JsFunction } from "./js-source";
import type { PyFunction } from "./source";

/**
 * What `runFunction` runs: a Python function, a handle of one, or a JavaScript function (a plain one travels without what
 * it captured).
 */
export type Runnable = PyFunction | PyHandle | JsFunction | JsCallable;
