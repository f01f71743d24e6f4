/** The built library, as users load it. From sources the engine's thread would be missing. */
import { createRequire } from "node:module";
import { join } from "node:path";
import type * as Api from "lazycluster";

/** What child scripts `require`. */
export const LIBRARY = join(__dirname, "..", "..", "dist", "index.js");

const api = createRequire(__filename)(LIBRARY) as typeof Api;

export const {
  AuthenticationError,
  Connection,
  ConnectionError,
  Environment,
  GroupError,
  HostKeyError,
  InvalidArgumentError,
  InvalidRuntimeError,
  LazyclusterError,
  PathCreationError,
  Runtime,
  RuntimeTask,
  TaskExecutionError,
  dataFrame,
  jsFunction,
  ndarray,
  py,
  pyFile,
  pyFloat,
  pyModule,
} = api;
export type {
  CommandOptions,
  Connection as ConnectionType,
  ConnectionOptions,
  ErrorCode,
  ExecuteOptions,
  Execution as ExecutionType,
  LazyclusterError as LazyclusterErrorType,
  Runtime as RuntimeType,
  RuntimeOptions,
  RuntimeTask as RuntimeTaskType,
  TaskExecutionError as TaskExecutionErrorType,
} from "lazycluster";
