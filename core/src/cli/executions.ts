/** The tasks of all engines of this user, from their journals; looked up by id or name. */
import { type EngineHistory, readJournals } from "../engine/journal";
import type { TaskRecord } from "../engine/protocol";
import { type Execution, takeOver } from "../task";
import { CommandFailure, EXIT } from "./output";

export interface KnownTask {
  readonly task: TaskRecord;
  readonly engine: EngineHistory;
}

/** The oldest first. */
export function knownTasks(): KnownTask[] {
  const tasks = readJournals().flatMap((engine) => engine.tasks.map((task) => ({ task, engine })));
  return tasks.sort((a, b) => a.task.startedAt - b.task.startedAt);
}

/** The short form of an id that `ps` shows. */
export function shortId(task: TaskRecord): string {
  return task.id.slice(0, 8);
}

/** True when it goes on at its host, and no process of this user looks after it. */
export function isOrphaned({ task, engine }: KnownTask): boolean {
  return task.state === "running" && !engine.alive;
}

/** Looks after it from here, when nobody does; null when somebody does, or it has ended. */
export function adopt(known: KnownTask): Execution | null {
  const detachment = known.engine.detachments.get(known.task.id);
  return isOrphaned(known) && detachment ? takeOver(known.task, detachment) : null;
}

/** By the beginning of its id, or by its name: then the latest one. Throws CommandFailure. */
export function findTask(wanted: string): KnownTask {
  const tasks = knownTasks();
  const byId = tasks.filter(({ task }) => task.id.startsWith(wanted));
  if (byId.length > 1) {
    throw new CommandFailure(`${wanted} is the beginning of ${String(byId.length)} ids: write more of it.`, EXIT.usage);
  }
  const found = byId[0] ?? tasks.filter(({ task }) => task.name === wanted).at(-1);
  if (!found) {
    throw new CommandFailure(
      `There is no task ${JSON.stringify(wanted)}; \`lazycluster ps --all\` shows all.`,
      EXIT.failed,
    );
  }
  return found;
}
