import { cancelElsewhere } from "../../engine/client";
import { TaskExecutionError } from "../../errors";
import type { Execution } from "../../task";
import { type KnownProcess, adopt, findProcess, shortId } from "../processes";
import { CommandFailure, EXIT, printJson, printLine } from "../output";

/** Ends a task or a port exposure of any process of this user; returns when that is confirmed. */
export async function cancel(wanted: string, options: { json?: boolean }): Promise<void> {
  const known = findProcess(wanted);
  const { id, key, kind, record, engine } = known;
  if (record.state !== "running") {
    throw new CommandFailure(`${nameOf(known)} does not run: it is ${record.state}.`, EXIT.failed);
  }
  const execution = known.kind === "task" ? adopt(known) : null;
  const cancelled = execution ? await ended(execution) : await cancelElsewhere(engine.engine.controlSocket, id);
  if (options.json) printJson({ id, key, kind, cancelled });
  else printLine(cancelled ? `${nameOf(known)} has ended.` : "It had ended already.");
}

function nameOf(known: KnownProcess): string {
  const what = known.kind === "task" ? `Task ${JSON.stringify(known.name)}` : `The port exposure on ${known.name}`;
  return `${what} (${shortId(known)})`;
}

/** False when it had ended before. Rejects LazyclusterError when its host cannot be asked. */
async function ended(execution: Execution): Promise<boolean> {
  const { task } = execution;
  await execution.cancel();
  if (task.error && task.state !== "cancelled" && !(task.error instanceof TaskExecutionError)) throw task.error;
  return task.state === "cancelled";
}
