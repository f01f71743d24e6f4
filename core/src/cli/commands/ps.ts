import { formatDuration, oneLine } from "../../display";
import { knownTasks, shortId } from "../executions";
import { printJson, printLine, printTable } from "../output";

/** The tasks that run now, or all that are known. */
export function ps(options: { all?: boolean; json?: boolean }): void {
  const tasks = knownTasks().filter(({ task }) => options.all === true || task.state === "running");
  if (options.json) {
    printJson(tasks.map(({ task, engine }) => ({ ...task, process: engine.engine.pid, program: engine.engine.title })));
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
    tasks.map(({ task, engine }) => [
      shortId(task),
      task.state,
      oneLine(task.host, 30),
      oneLine(task.name, 40),
      new Date(task.startedAt).toISOString().slice(0, 19).replace("T", " "),
      formatDuration(task.durationMs ?? (task.state === "running" ? Date.now() - task.startedAt : 0)),
      `${oneLine(engine.engine.title, 24)} (${String(engine.engine.pid)})`,
    ]),
  );
}
