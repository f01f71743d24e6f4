/** How a process goes on with the detached task of another one that is gone. */
import type { Detachment, TaskRecord } from "../engine/protocol";
import type { Execution } from "./execution";
import { RuntimeTask } from "./runtime-task";
import { executionOf } from "./start";

/**
 * Goes on with its log, its values and its end. The task runs on the host meanwhile, whatever becomes of this process.
 *
 * @throws LazyclusterError what `executeTask` rejects.
 */
export function takeOver(record: TaskRecord, detachment: Detachment): Execution {
  const { id, name, logFile, startedAt } = record;
  const { owner, steps, cwd } = detachment;
  const task = RuntimeTask.of(name, steps);
  const detach = { name: detachment.name, takeOver: { cwd } };
  const run = task.begin(
    { id, name, owner, steps, env: {}, logFile, startedAt, detach },
    { debug: false, omitOnJoin: undefined, trusted: false },
  );
  run.start();
  return executionOf(task, run);
}
