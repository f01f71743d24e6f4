import { cancelElsewhere } from "../../engine/client";
import { findTask, shortId } from "../executions";
import { CommandFailure, EXIT, printJson, printLine } from "../output";

/** Ends a task of any process of this user; returns when the host has confirmed it. */
export async function cancel(wanted: string, options: { json?: boolean }): Promise<void> {
  const { task, engine } = findTask(wanted);
  if (task.state !== "running") {
    throw new CommandFailure(
      `Task ${JSON.stringify(task.name)} (${shortId(task)}) does not run: it is ${task.state}.`,
      EXIT.failed,
    );
  }
  const cancelled = await cancelElsewhere(engine.engine.controlSocket, task.id);
  if (options.json) printJson({ id: task.id, cancelled });
  else
    printLine(cancelled ? `Task ${JSON.stringify(task.name)} (${shortId(task)}) has ended.` : "It had ended already.");
}
