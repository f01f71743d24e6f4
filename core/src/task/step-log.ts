/** What steps printed, for a logger that wants it: read once, when a step has ended. */
import { log } from "../environment";
import type { Run } from "./run";
import type { TaskStep } from "./task-events";

/** [bytes] of a step's output, its end; the log file has it all. */
const MOST = 64 * 1024;

/** What a task tells of its steps. */
interface StepEvents {
  on(event: "step", listener: (step: TaskStep) => void): unknown;
  off(event: "step", listener: (step: TaskStep) => void): unknown;
}

/** Gives the function that stops it. */
export function logSteps(task: StepEvents, run: Run): () => void {
  const onStep = ({ index, state }: TaskStep): void => {
    if (state === "new" || state === "running") return;
    const { host, name, logFile } = run.record;
    const output = run.log.tail(index, MOST);
    const what = `${host}: step ${String(index)} of task ${JSON.stringify(name)}: ${state}`;
    const details = { host, task: name, step: index, state, output, logFile };
    log("debug", output === "" ? what : `${what}; it printed\n${readable(output)}`, details);
  };
  task.on("step", onStep);
  return () => task.off("step", onStep);
}

/** A host's text for a terminal: without characters that do more than be read. */
function readable(text: string): string {
  return text.replace(/\n$/, "").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\ufffd");
}
