/** What stands behind `%lazycluster`: commands of the library that the notebook uses. Loaded when one is first used. */
import type { NotebookHost } from "../display/host";

export interface Completed {
  /** The words that may stand here. */
  readonly matches: readonly string[];
  /** What is replaced, in UTF-16 units of the line. */
  readonly start: number;
  readonly end: number;
}

/** `%lazycluster` lines and `%%lazycluster` cells have commands of their own. */
export type MagicKind = "line" | "cell";

export interface Magics {
  /** Shows what the command gives; its data is the result. */
  show(line: string, body: string | null, host: NotebookHost): Promise<unknown>;
  value(line: string, body: string | null, host: NotebookHost): Promise<unknown>;
  /** @param line what comes after `%lazycluster`, up to the cursor. */
  complete(line: string, kind: MagicKind): Promise<Completed>;
  /** Help for what the line begins with. */
  help(line: string, kind: MagicKind): Promise<string>;
}
