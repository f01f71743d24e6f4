/**
 * Errors as plain data: what the engine knows about a failure, in a form that crosses the thread and the control
 * socket. The library makes its error classes from it; the engine's own code throws `EngineFailure`.
 */

/** Stable identifiers, the `code` of the public errors. */
export type ErrorCode =
  | "ERR_INVALID_ARGUMENT"
  | "ERR_INVALID_RUNTIME"
  | "ERR_HOST_KEY"
  | "ERR_AUTHENTICATION"
  | "ERR_CONNECTION"
  | "ERR_TASK_RUNNING"
  | "ERR_TASK_FAILED"
  | "ERR_TASK_TIMEOUT"
  | "ERR_TASK_CANCELLED"
  | "ERR_TASK_LOST"
  | "ERR_GROUP"
  | "ERR_NO_RUNTIMES"
  | "ERR_PORT_IN_USE"
  | "ERR_NO_PORTS_LEFT"
  | "ERR_PATH_CREATION"
  | "ERR_MASTER_START"
  | "ERR_PYTHON_VERSION"
  | "ERR_PYTHON"
  | "ERR_CANCELLED"
  | "ERR_TIMEOUT"
  | "ERR_OTHER";

/** Why a started task did not finish. */
export type TaskFailureReason = "failed" | "timeout" | "cancelled" | "lost";

/** A failure as data. `message` is a sentence that names the host, what failed, and what to do next. */
export interface FailureData {
  readonly code: ErrorCode;
  readonly message: string;
  readonly host?: string;
  /** Of ERR_HOST_KEY: `SHA256:…` of the key that the host showed, and the file that was asked. */
  readonly fingerprint?: string;
  readonly knownHostsFile?: string;
  /** Of ERR_PATH_CREATION. */
  readonly path?: string;
  /** Of ERR_PORT_IN_USE. */
  readonly port?: number;
  /** Of ERR_PYTHON: with the user's own source lines. */
  readonly remoteTraceback?: string;
  /** Of ERR_PYTHON_VERSION, such as `cpython 3.11`: what the host has, and what it would need. */
  readonly found?: string;
  readonly needed?: string;
  /** True: the kept process of a session is gone, with all that was in it. */
  readonly sessionLost?: boolean;
  /** A system error's name, such as `ENOSPC`. */
  readonly errno?: string;
  /** The failure that led to this one. */
  readonly below?: FailureData;
  /** What lay below that is none of ours, for `cause`. */
  readonly cause?: { readonly name: string; readonly message: string };
}

/** Thrown inside the engine; never reaches the user as such. */
export class EngineFailure extends Error {
  override readonly name = "EngineFailure";
  readonly data: FailureData;

  constructor(data: FailureData, cause?: unknown) {
    super(data.message);
    const below = data.cause ?? describeCause(cause);
    this.data = below ? { ...data, cause: below } : data;
  }
}

/** Any thrown value as failure data; what is no EngineFailure becomes ERR_OTHER. */
export function toFailureData(error: unknown, host?: string): FailureData {
  if (error instanceof EngineFailure) return error.data;
  const below = describeCause(error);
  const where = host === undefined ? "" : `${host}: `;
  return {
    code: "ERR_OTHER",
    message: `${where}${below?.message ?? String(error)}`,
    ...(host === undefined ? {} : { host }),
    ...(below ? { cause: below } : {}),
  };
}

function describeCause(cause: unknown): { name: string; message: string } | undefined {
  if (cause instanceof Error) return { name: cause.name, message: cause.message };
  return undefined;
}
