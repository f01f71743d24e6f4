import "./warm-up";
export { jupyterDisplay } from "./display/jupyter";
export type { Displayable, MimeBundle } from "./display/jupyter";
export { clearOutput, display, page, readLine } from "./display/notebook";
export type { Finding, PromptRequest, TaskState, Transport } from "./engine/protocol";
export { Environment } from "./environment";
export type { LogLevel, Logger } from "./environment";
export {
  AuthenticationError,
  ConnectionError,
  HostKeyError,
  InvalidArgumentError,
  InvalidRuntimeError,
  LazyclusterError,
  NoPortsLeftError,
  NoRuntimesDetectedError,
  PathCreationError,
  PortInUseError,
  PythonVersionError,
} from "./errors";
export type { ErrorCode, LazyclusterErrorOptions } from "./errors";
export { PyDisplay, PyHandle, bridge, dataFrame, jsFunction, ndarray, py, pyFile, pyFloat, pyModule } from "./python";
export type {
  Bridge,
  Column,
  DataFrame,
  NdArray,
  PyFloat,
  PyFunction,
  PyKwargs,
  PyValue,
  Runnable,
  TypedArray,
} from "./python";
export { Connection, PortExposure, Runtime, RuntimeGroup, RuntimeManager, Session } from "./runtime";
export type {
  ConnectionOptions,
  ExposureOptions,
  GroupExecuteOptions,
  GroupFilters,
  ManagerOptions,
  RuntimeFilter,
  RuntimeInfo,
  RuntimeOptions,
  SessionOptions,
  SessionState,
} from "./runtime";
export { GroupError, RuntimeTask, TaskExecutionError } from "./task";
export type {
  HostResult,
  CellOptions,
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
export { enableTslab } from "./stock-kernel";
