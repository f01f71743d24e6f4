/** Which host gets the next task. Pure. */

export interface Candidate {
  /** Tasks that run there now. */
  readonly running: number;
  /** Tasks that it was given so far; of hosts that are equal otherwise, the one with fewest is taken. */
  readonly given: number;
  /** Null: not known yet; it then counts as an average one. */
  readonly cores: number | null;
}

/** Index of the one with the fewest tasks per core after the next one started there; -1 of none. */
export function leastBusy(candidates: readonly Candidate[]): number {
  const known = candidates.flatMap(({ cores }) => (cores !== null && cores > 0 ? [cores] : []));
  const average = known.length === 0 ? 1 : known.reduce((sum, cores) => sum + cores, 0) / known.length;
  let best = -1;
  let [leastLoad, leastGiven] = [Infinity, Infinity];
  candidates.forEach(({ running, given, cores }, index) => {
    const load = (running + 1) / (cores !== null && cores > 0 ? cores : average);
    if (load > leastLoad || (load === leastLoad && given >= leastGiven)) return;
    best = index;
    [leastLoad, leastGiven] = [load, given];
  });
  return best;
}
