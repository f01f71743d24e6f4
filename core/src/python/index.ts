export { JsSource, jsFunction } from "./js-source";
export type { JsCallable, JsFunction, JsFunctionOptions } from "./js-source";
export { toSource } from "./runnable";
export type { Runnable } from "./runnable";
export { PySource, py, pyFile, pyModule } from "./source";
export type { PyFunction } from "./source";
// With its full name: a build may still have the file `values.js` of before.
export * from "./values/index";
