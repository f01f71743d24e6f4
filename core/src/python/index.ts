export { bridge } from "./bridge";
export type { Bridge } from "./bridge";
export { composeCall, composeSpec } from "./compose";
export type { ComposedCall } from "./compose";
export { PyDisplay } from "./display-object";
export { PyHandle } from "./handle";
export { JsSource, jsFunction } from "./js-source";
export type { JsCallable, JsFunction, JsFunctionOptions } from "./js-source";
export { originOf } from "./kept-home";
export { ReceivedValue } from "./received";
export type { Runnable } from "./runnable";
export { PySource, py, pyFile, pyModule } from "./source";
export type { PyFunction } from "./source";
export { SpooledArguments } from "./spooled";
// With its full name: a build may still have the file `values.js` of before.
export * from "./values/index";
