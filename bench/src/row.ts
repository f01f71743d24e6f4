import type { Lab } from "./lab";
import type { Series } from "./measure";

/** What a row aims at: ours over the peer's median, or ours as it is. */
export interface Aim {
  readonly peer: string | null;
  readonly most: number;
  /** True: the p90 counts, not the median. */
  readonly p90?: boolean;
}

export interface RowResult {
  /** Ours first. */
  readonly series: readonly Series[];
  /** What is worth knowing beside it, without a ratio. */
  readonly also?: readonly Series[];
  readonly unit: string;
}

/** A row of the table. `run` gives our own series first. */
export interface Row {
  readonly name: string;
  readonly what: string;
  readonly aims: readonly Aim[];
  run(lab: Lab): Promise<RowResult>;
}
