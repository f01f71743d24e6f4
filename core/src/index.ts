import "./warm-up";
export { jupyterDisplay } from "./display/jupyter";
export type { Displayable, MimeBundle } from "./display/jupyter";
export type { PromptRequest, TaskState, Transport } from "./engine/protocol";
export { Environment } from "./environment";
export type { LogLevel, Logger } from "./environment";
export {
  AuthenticationError,
  ConnectionError,
  GroupError,
  HostKeyError,
  InvalidArgumentError,
  InvalidRuntimeError,
  LazyclusterError,
  PathCreationError,
  PythonVersionError,
  TaskExecutionError,
} from "./errors";
export type { ErrorCode, HostResult, LazyclusterErrorOptions } from "./errors";
export { PyDisplay, PyHandle, bridge, dataFrame, jsFunction, ndarray, py, pyFile, pyFloat, pyModule } from "./python";
export type {
  Bridge,
  Column,
  DataFrame,
  JsFunction,
  JsFunctionOptions,
  NdArray,
  PyFloat,
  PyFunction,
  PyKwargs,
  PyValue,
  TypedArray,
} from "./python";
export { Connection, Runtime, Session } from "./runtime";
export type { ConnectionOptions, RuntimeOptions, SessionOptions, SessionState } from "./runtime";
export { RuntimeTask } from "./task";
export type {
  CellOptions,
  CommandOptions,
  Execution,
  ExecuteOptions,
  FunctionOptions,
  OutputStream,
  ProcessHandle,
  TaskEvents,
  TaskStep,
} from "./task";
