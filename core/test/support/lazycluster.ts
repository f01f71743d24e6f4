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
  NoPortsLeftError,
  NoRuntimesDetectedError,
  PathCreationError,
  PyDisplay,
  PyHandle,
  PythonVersionError,
  PortExposure,
  PortInUseError,
  Runtime,
  RuntimeGroup,
  RuntimeManager,
  RuntimeTask,
  TaskExecutionError,
  bridge,
  dataFrame,
  jsFunction,
  ndarray,
  py,
  pyFile,
  pyFloat,
  pyModule,
} = api;
/** A symbol of its own type, as in the declarations. */
export const jupyterDisplay: typeof Api.jupyterDisplay = api.jupyterDisplay;
export type {
  CommandOptions,
  Connection as ConnectionType,
  ConnectionOptions,
  ErrorCode,
  ExecuteOptions,
  Execution as ExecutionType,
  LazyclusterError as LazyclusterErrorType,
  GroupError as GroupErrorType,
  Logger,
  PyDisplay as PyDisplayType,
  PyHandle as PyHandleType,
  PortExposure as PortExposureType,
  Runtime as RuntimeType,
  RuntimeGroup as RuntimeGroupType,
  RuntimeManager as RuntimeManagerType,
  RuntimeOptions,
  RuntimeTask as RuntimeTaskType,
  SyncOptions,
  TaskExecutionError as TaskExecutionErrorType,
} from "lazycluster";
