/** Failures that nobody awaited: never an unhandled rejection, but one line each on stderr at the end of the process. */
import type { TaskRun } from "./task-run";

const noticed = new WeakSet<TaskRun>();
const failed = new Set<TaskRun>();
let listening = false;

export function watchFailure(run: TaskRun): void {
  void run.settled.then(() => {
    // Cancelling is what somebody wanted, and so is leaving a task to itself.
    const { state, detached } = run.record;
    if (!run.error || noticed.has(run) || state === "cancelled" || (state === "lost" && detached !== null)) return;
    failed.add(run);
    if (listening) return;
    listening = true;
    process.once("exit", () => {
      for (const { error } of failed) {
        if (error) process.stderr.write(`lazycluster: nobody awaited this failure: ${error.message}\n`);
      }
    });
  });
}

/** Somebody is or will be given the error, or the run is of no interest any more. */
export function noticeFailure(run: TaskRun): void {
  noticed.add(run);
  failed.delete(run);
}
