/** Where a command runs: in a process of its own, or in a cell of a notebook among other cells. */
import { AsyncLocalStorage } from "async_hooks";

/** What a command gives beside what it streams. */
export interface CommandOutput {
  line(text: string): void;
  table(head: readonly string[], rows: readonly (readonly string[])[]): void;
  data(value: unknown): void;
}

export interface NotebookCommand {
  readonly output: CommandOutput;
  /** Aborted when the cell is interrupted. */
  readonly signal: AbortSignal;
  /** What is undone when the command has ended: the process goes on. */
  readonly undo: (() => void)[];
}

const storage = new AsyncLocalStorage<NotebookCommand>();

/** The cell that the command runs for; undefined on the command line. */
export function notebookCommand(): NotebookCommand | undefined {
  return storage.getStore();
}

export async function runInNotebook<T>(command: NotebookCommand, work: () => Promise<T>): Promise<T> {
  try {
    return await storage.run(command, work);
  } finally {
    for (const undo of command.undo.reverse()) undo();
  }
}
