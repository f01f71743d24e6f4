/** A task as the table that a notebook shows. */
import { type MimeBundle, taskBundle } from "../display";
import type { TaskState } from "../engine/protocol";
import { shortPath } from "./log-path";
import type { Run } from "./run";
import type { TaskStep } from "./task-events";

/** [bytes] of output that the table shows. */
const SHOWN_OUTPUT = 2000;

/** What is shown of a task itself. */
export interface ShownTask {
  readonly name: string;
  readonly host: string | null;
  readonly state: TaskState;
  readonly durationMs: number | null;
  readonly steps: readonly TaskStep[];
}

export function showTask(task: ShownTask, run: Run | null): MimeBundle {
  const logFile = run?.record.logFile ?? null;
  return taskBundle({
    name: task.name,
    host: task.host,
    state: task.state,
    durationMs: task.durationMs,
    steps: task.steps.map((step) => ({ ...step, transfer: run?.progress.get(step.index) ?? null })),
    output: run ? lastOutput(run) : "",
    error: run?.error?.message ?? null,
    logFile: logFile === null ? null : shortPath(logFile),
  });
}

/** From the begin of a line on, if it does not begin with the first. */
function lastOutput(run: Run): string {
  const text = run.log.tail(null, SHOWN_OUTPUT + 1);
  const rest = text.slice(text.indexOf("\n") + 1);
  return Buffer.byteLength(text) > SHOWN_OUTPUT && rest !== "" ? rest : text;
}
