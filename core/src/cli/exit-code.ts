/** The exit code of a command that a failure ended (docs/cli.md). */
import type { TaskFailureReason } from "../engine/protocol";
import { InvalidArgumentError, InvalidRuntimeError, type LazyclusterError } from "../errors";
import { TaskExecutionError } from "../task";
import { EXIT } from "./output";

export const REASON_EXIT: Readonly<Record<TaskFailureReason, number>> = {
  failed: EXIT.failed,
  timeout: EXIT.failed,
  cancelled: EXIT.interrupted,
  lost: EXIT.hostUnusable,
};

export function exitCodeOf(error: LazyclusterError): number {
  if (error instanceof TaskExecutionError) return REASON_EXIT[error.reason];
  if (error instanceof InvalidArgumentError) return EXIT.usage;
  return error instanceof InvalidRuntimeError ? EXIT.hostUnusable : EXIT.failed;
}
