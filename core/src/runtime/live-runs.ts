import type { LiveSource } from "../display";
import type { TaskRun } from "../task";

/** What a live display of several executions waits for; null when all have ended. */
export function liveRuns(runs: readonly TaskRun[]): LiveSource | null {
  const ended = (): boolean => runs.every((run) => run.ended);
  if (ended()) return null;
  let changes = 0;
  let wake: (() => void)[] = [];
  const tell = (): void => {
    changes += 1;
    const waiting = wake;
    wake = [];
    for (const resume of waiting) resume();
  };
  const follow = async (run: TaskRun): Promise<void> => {
    while (!run.ended) {
      await run.nextChange();
      tell();
    }
  };
  const settled = Promise.all(runs.map(follow)).then(tell);
  let seen = 0;
  return {
    ended,
    settled,
    changed: async () => {
      if (changes === seen && !ended()) await new Promise<void>((resolve) => wake.push(resolve));
      seen = changes;
    },
  };
}
