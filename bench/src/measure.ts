/** Interleaved runs of contenders in one process, medians, ratios. */

/** One way to do the same thing. */
export interface Contender {
  readonly name: string;
  /** Does it once; gives [ms] where it measures itself better than from outside. */
  once(): Promise<number | undefined>;
  /** Fewer rounds for what takes seconds; default: the row's. */
  readonly rounds?: number;
  /** False: the first round counts too, for what takes so long that nothing of it is warming up. */
  readonly warmUp?: boolean;
}

export interface Series {
  readonly name: string;
  /** [ms], or what the row's unit says. */
  readonly values: readonly number[];
  readonly median: number;
  readonly p90: number;
}

/** A, B, C, A, B, C, …: what else the machine does hits all of them alike. The first round of each does not count, but where it is told otherwise. */
export async function interleave(contenders: readonly Contender[], rounds: number): Promise<Series[]> {
  const values = contenders.map((): number[] => []);
  for (let round = -1; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      if (round >= (contender.rounds ?? rounds) || (round < 0 && contender.warmUp === false)) continue;
      const start = process.hrtime.bigint();
      const own = await contender.once();
      const elapsed = Number(process.hrtime.bigint() - start) / 1e6;
      if (round >= 0) values[index]?.push(own ?? elapsed);
    }
  }
  return contenders.map(({ name }, index) => summarise(name, values[index] ?? []));
}

export function summarise(name: string, values: readonly number[]): Series {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { name, values, median: at(0.5), p90: at(0.9) };
}
