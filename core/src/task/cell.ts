/** Executions and the cells of a notebook: interrupting a cell cancels what it started and awaits. */
import { notebookHost } from "../display";

interface Cancellable {
  readonly startedIn: number | null;
  readonly settled: Promise<void>;
  cancel(): Promise<void>;
}

const bound = new WeakSet<Cancellable>();

/** To be called when somebody awaits the execution; outside notebooks it does nothing. */
export function cancelWithCell(run: Cancellable): void {
  const cell = notebookHost()?.awaitingCell();
  // What an earlier cell started goes on; only the waiting ends.
  if (!cell || cell.id !== run.startedIn || bound.has(run)) return;
  bound.add(run);
  const cancel = (): void => {
    // What became of it is the execution's to tell.
    run.cancel().catch(() => undefined);
  };
  if (cell.signal.aborted) cancel();
  cell.signal.addEventListener("abort", cancel);
  void run.settled.then(() => cell.signal.removeEventListener("abort", cancel));
}
