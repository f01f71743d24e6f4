import { cancelElsewhere } from "../../engine/client";
import { TaskExecutionError } from "../../errors";
import type { Execution } from "../../task";
import { adopt, findTask, shortId } from "../executions";
import { CommandFailure, EXIT, printJson, printLine } from "../output";

/** Ends a task of any process of this user; returns when the host has confirmed it. */
export async function cancel(wanted: string, options: { json?: boolean }): Promise<void> {
  const known = findTask(wanted);
  const { task, engine } = known;
  if (task.state !== "running") {
    throw new CommandFailure(
      `Task ${JSON.stringify(task.name)} (${shortId(task)}) does not run: it is ${task.state}.`,
      EXIT.failed,
    );
  }
  const execution = adopt(known);
  const cancelled = execution ? await ended(execution) : await cancelElsewhere(engine.engine.controlSocket, task.id);
  if (options.json) printJson({ id: task.id, cancelled });
  else
    printLine(cancelled ? `Task ${JSON.stringify(task.name)} (${shortId(task)}) has ended.` : "It had ended already.");
}

/** False when it had ended before. Rejects LazyclusterError when its host cannot be asked. */
async function ended(execution: Execution): Promise<boolean> {
  const { task } = execution;
  await execution.cancel();
  if (task.error && task.state !== "cancelled" && !(task.error instanceof TaskExecutionError)) throw task.error;
  return task.state === "cancelled";
}
