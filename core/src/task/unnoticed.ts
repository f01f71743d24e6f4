/** Failures that nobody awaited: never an unhandled rejection, but one line each on stderr at the end of the process. */
import type { Run } from "./run";

/** More are only counted. */
const MOST_TOLD = 20;

const noticed = new WeakSet<Run>();
/** By execution. Not the execution itself, which has its log, its values and its task. */
const failed = new Map<string, string>();
let listening = false;

export function watchFailure(run: Run): void {
  void run.settled.then(() => {
    // Cancelling is what somebody wanted, and so is leaving a task to itself.
    const { state, detached } = run.record;
    if (!run.error || noticed.has(run) || state === "cancelled" || (state === "lost" && detached !== null)) return;
    failed.set(run.record.id, failed.size < MOST_TOLD ? run.error.message : "");
    if (listening) return;
    listening = true;
    process.once("exit", tell);
  });
}

/** On its own, for what is made above keeps the run that it was made for. */
function tell(): void {
  const told = [...failed.values()].filter((message) => message !== "");
  for (const message of told) process.stderr.write(`lazycluster: nobody awaited this failure: ${message}\n`);
  const more = failed.size - told.length;
  if (more > 0) process.stderr.write(`lazycluster: nobody awaited ${String(more)} more failures\n`);
}

/** Somebody is or will be given the error, or the run is of no interest any more. */
export function noticeFailure(run: Run): void {
  noticed.add(run);
  failed.delete(run.record.id);
}
