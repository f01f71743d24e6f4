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
  TaskExecutionError,
} from "./errors";
export type { ErrorCode, HostResult, LazyclusterErrorOptions } from "./errors";
export { py, pyFile, pyModule } from "./python";
export type { PyFunction, PyKwargs, PyValue } from "./python";
export { Connection, Runtime } from "./runtime";
export type { ConnectionOptions, RuntimeOptions } from "./runtime";
export { RuntimeTask } from "./task";
export type {
  CommandOptions,
  Execution,
  ExecuteOptions,
  FunctionOptions,
  OutputStream,
  ProcessHandle,
  SyncOptions,
  TaskEvents,
  TaskProgress,
  TaskStep,
  TransferOptions,
} from "./task";
