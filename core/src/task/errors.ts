/** What a task that did not end well throws, alone and of several hosts. */
import type { ErrorCode, TaskFailureReason } from "../engine/protocol";
import { LazyclusterError, type LazyclusterErrorOptions, listed } from "../errors";
import type { RuntimeTask } from "./runtime-task";

/** What is known of a task that did not end well. */
export interface TaskExecutionDetails {
  readonly task: RuntimeTask;
  readonly host: string;
  readonly stepIndex: number;
  readonly reason: TaskFailureReason;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly output: string;
  readonly logFile: string;
}

const TASK_CODES: Readonly<Record<TaskFailureReason, ErrorCode>> = {
  failed: "ERR_TASK_FAILED",
  timeout: "ERR_TASK_TIMEOUT",
  cancelled: "ERR_TASK_CANCELLED",
  lost: "ERR_TASK_LOST",
};

/** A step of a task failed, took too long, was cancelled, or its host was lost. */
export class TaskExecutionError extends LazyclusterError {
  readonly task: RuntimeTask;
  declare readonly host: string;
  readonly stepIndex: number;
  readonly reason: TaskFailureReason;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** The last 64 KiB of the step. */
  readonly output: string;
  readonly logFile: string;

  constructor(details: TaskExecutionDetails & { readonly message?: string }, options: LazyclusterErrorOptions = {}) {
    const { task, host, stepIndex, reason } = details;
    super(details.message ?? `${host}: step ${String(stepIndex)} of task ${JSON.stringify(task.name)}: ${reason}`, {
      code: TASK_CODES[reason],
      ...options,
      host,
    });
    this.task = task;
    this.stepIndex = stepIndex;
    this.reason = reason;
    this.exitCode = details.exitCode;
    this.signal = details.signal;
    this.output = details.output;
    this.logFile = details.logFile;
  }
}

/** What became of a task on one host. */
export interface HostResult {
  readonly host: string;
  readonly task: RuntimeTask;
  /** Function values of a task that is done. */
  readonly values?: unknown[];
  readonly error?: LazyclusterError;
}

/** Something failed on some hosts; `results` has every host, also the good ones. */
export class GroupError extends LazyclusterError {
  readonly results: readonly HostResult[];

  constructor(results: readonly HostResult[]) {
    const failed = results.filter((result) => result.error);
    super(
      `${String(failed.length)} of ${String(results.length)} tasks failed:\n` +
        listed(failed.map(({ error }) => error?.message ?? "")),
      { code: "ERR_GROUP", cause: failed[0]?.error },
    );
    this.results = results;
  }
}
