/** What a notebook kernel offers to the library in its process: rich output, questions, and which cell awaits what. */
import type { MimeBundle } from "./jupyter";

export interface DisplayOptions {
  /** A display of this id is replaced by later ones of it. */
  readonly displayId?: string;
  /** True: replaces what was shown under this id, wherever that is. */
  readonly update?: boolean;
  /** It takes the place of a text that is being printed: the end of that line is no output. */
  readonly printed?: boolean;
}

/** A cell that is being executed and awaits what asks. */
export interface AwaitingCell {
  readonly id: number;
  /** Aborted when the cell is interrupted. */
  readonly signal: AbortSignal;
}

export interface NotebookHost {
  /** The cell that is being executed; null when none is. */
  readonly runningCell: number | null;
  /** The cell that awaits what runs now; undefined in what goes on by itself. */
  awaitingCell(): AwaitingCell | undefined;
  /** What it knows to show of a value that shows nothing special of itself, such as an error with its places in cells. */
  bundleOf?(value: unknown): MimeBundle | null;
  display(bundle: MimeBundle, options?: DisplayOptions): void;
  /** @param wait true: only when something new is shown. */
  clearOutput(wait: boolean): void;
  /** In the client's pager, when the cell has ended. */
  page(bundle: MimeBundle): void;
  /** Asks the user. Rejects when the client cannot ask, and when the cell is interrupted. */
  readLine(prompt: string, password: boolean): Promise<string>;
  /** The library is loaded, so cells may await executions. */
  libraryLoaded(): void;
}

/** Where the kernel leaves itself; kernel and library may be of two copies of this package. */
export const HOST_SYMBOL = Symbol.for("lazycluster.notebook");

/** The kernel of this process; undefined outside notebooks. */
export function notebookHost(): NotebookHost | undefined {
  return (globalThis as { [HOST_SYMBOL]?: NotebookHost })[HOST_SYMBOL];
}
