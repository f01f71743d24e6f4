/** How a process goes on with the detached task of another one that is gone. */
import { type Claim, type EngineHistory, claimTask } from "../engine/journal";
import { LazyclusterError } from "../errors";
import type { Execution } from "./execution";
import { RuntimeTask } from "./runtime-task";
import { begin, executionOf } from "./start";

/**
 * Goes on with its log, its values and its end. The task runs on the host meanwhile, whatever becomes of this process.
 *
 * @param history of the engine that had it
 * @param force also where a process of another machine has it, as far as is known here: that one is shut out then
 * @returns null when it is not detached, or when another process looks after it, or has just brought it to its end
 * @throws LazyclusterError when it cannot be kept from other processes; what `executeTask` rejects.
 */
export function takeOver(history: EngineHistory, id: string, force = false): Execution | null {
  const record = history.tasks.find((task) => task.id === id);
  const detachment = history.detachments.get(id);
  if (!record || !detachment) return null;
  const { name, host, logFile, startedAt } = record;
  const claim = claimed(history, id, force, `${host}: task ${JSON.stringify(name)}`);
  if (!claim) return null;
  const { owner, steps, cwd } = detachment;
  const task = RuntimeTask.of(name, steps);
  const detach = {
    name: detachment.name,
    takeOver: { cwd, since: history.since.get(id) ?? startedAt, cancelWanted: record.cancelWanted },
  };
  const run = begin(
    task,
    { id, name, owner, steps, env: {}, logFile, startedAt, detach },
    { debug: false, omitOnJoin: undefined, trusted: false },
  );
  // A host that was not there may be there later.
  void run.settled.then(() => claim.release());
  run.start();
  return executionOf(task, run);
}

function claimed(history: EngineHistory, id: string, force: boolean, what: string): Claim | null {
  try {
    return claimTask(history, id, force);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new LazyclusterError(
      `${what} goes on there, but cannot be looked after from here: ${reason}. Free some space, or make ${history.folder} writable.`,
      { cause: error },
    );
  }
}
