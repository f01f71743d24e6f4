import { formatDuration, oneLine } from "../../display";
import { type KnownTask, isOrphaned, knownTasks, shortId } from "../executions";
import { printJson, printLine, printTable } from "../output";

/** The tasks that run now, or all that are known. */
export function ps(options: { all?: boolean; json?: boolean }): void {
  const tasks = knownTasks().filter(({ task }) => options.all === true || task.state === "running");
  if (options.json) {
    printJson(
      tasks.map((known) => ({
        ...known.task,
        orphaned: isOrphaned(known),
        process: known.engine.engine.pid,
        program: known.engine.engine.title,
      })),
    );
    return;
  }
  if (tasks.length === 0) {
    printLine(
      options.all ? "No task was executed yet." : "No task runs; `lazycluster ps --all` shows those that ended.",
    );
    return;
  }
  printTable(
    ["ID", "STATE", "HOST", "TASK", "STARTED", "DURATION", "PROGRAM"],
    tasks.map((known) => [
      shortId(known.task),
      // It runs as far as we know; its host was not asked.
      isOrphaned(known) ? "detached" : known.task.state,
      oneLine(known.task.host, 30),
      oneLine(known.task.name, 40),
      new Date(known.task.startedAt).toISOString().slice(0, 19).replace("T", " "),
      formatDuration(known.task.durationMs ?? (known.task.state === "running" ? Date.now() - known.task.startedAt : 0)),
      isOrphaned(known) ? "" : program(known),
    ]),
  );
}

function program({ engine }: KnownTask): string {
  return `${oneLine(engine.engine.title, 24)} (${String(engine.engine.pid)})`;
}
