/** A task as the table that a notebook shows. */
import { type MimeBundle, taskBundle } from "../display";
import { shortPath } from "./log-path";
import type { RuntimeTask } from "./runtime-task";
import type { TaskRun } from "./task-run";

/** [bytes] of output that the table shows. */
const SHOWN_OUTPUT = 2000;

export function showTask(task: RuntimeTask, run: TaskRun | null): MimeBundle {
  const logFile = task.executionLogFilePath;
  return taskBundle({
    name: task.name,
    host: task.host,
    state: task.state,
    durationMs: task.durationMs,
    steps: task.steps.map((step) => ({ ...step, transfer: run?.progress.get(step.index) ?? null })),
    output: run ? lastOutput(run) : "",
    error: task.error?.message ?? null,
    logFile: logFile === null ? null : shortPath(logFile),
  });
}

/** From the begin of a line on, if it does not begin with the first. */
function lastOutput(run: TaskRun): string {
  const text = run.log.tail(null, SHOWN_OUTPUT + 1);
  const rest = text.slice(text.indexOf("\n") + 1);
  return Buffer.byteLength(text) > SHOWN_OUTPUT && rest !== "" ? rest : text;
}
