/** When something is tried again, and when it is given up: one rule for all that come back to a host by themselves. */
import { setTimeout as sleep } from "node:timers/promises";
import { EngineFailure, type ErrorCode } from "../../engine/protocol/failure";

/** [ms] before the first try after a loss; twice as long after each, up to the most. */
const FIRST_PAUSE_MS = 250;
const MOST_PAUSE_MS = 5_000;
/** [ms] of absence after which nobody waits for every second any more; and the pause then. */
const LONG_AWAY_MS = 300_000;
const LONG_PAUSE_MS = 30_000;
/** [ms] for which it must stay to count as back: what is lost again at once is not asked again at once. */
const STEADY_MS = 10_000;

/**
 * Will not be better the next time: a login that is tried over and over is locked out, and what its host has no more it will not have later.
 * All else may pass: a host that comes back is busy at first, starts no processes, or has not mounted everything.
 */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  "ERR_AUTHENTICATION",
  "ERR_HOST_KEY",
  "ERR_INVALID_ARGUMENT",
  "ERR_TASK_LOST",
]);

export function isFinal(error: unknown): boolean {
  return error instanceof EngineFailure && FINAL.has(error.data.code);
}

interface Rule {
  /** [ms] before the next try, about; null: there is none. */
  readonly pauseMs: (failures: number) => number | null;
  readonly isFinal: (error: unknown) => boolean;
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Tries until it works. Rejects with the last failure, or because the signal is aborted. */
export async function tryAgain<T>(
  attempt: (failures: number) => Promise<T>,
  rule: Rule,
  signal: AbortSignal,
): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await attempt(failures);
    } catch (error) {
      const ms = signal.aborted || rule.isFinal(error) ? null : rule.pauseMs(failures);
      if (ms === null) throw error;
      await (rule.pause ?? aboutSo)(ms, signal);
    }
  }
}

/** The way back to a host, as often as it is lost. */
export class ComeBack {
  private failures = 0;
  private awaySince = 0;
  private backAt = -Infinity;

  /** @param patienceMs after which a host that does not come back is given up. */
  constructor(
    private readonly patienceMs = Infinity,
    private readonly pause: (ms: number, signal: AbortSignal) => Promise<void> = aboutSo,
  ) {}

  /** To be called at a loss. Rejects with what is final, the last failure when the patience is over, or because the signal is aborted. */
  async run<T>(attempt: () => Promise<T>, signal: AbortSignal, failed: (error: unknown) => void): Promise<T> {
    if (performance.now() - this.backAt >= STEADY_MS) {
      this.failures = 0;
      this.awaySince = performance.now();
    }
    await this.pause(this.pauseMs(), signal);
    const counted = async (): Promise<T> => {
      signal.throwIfAborted();
      try {
        return await attempt();
      } catch (error) {
        failed(error);
        throw error;
      } finally {
        this.failures += 1;
      }
    };
    const pauseMs = (): number | null => (this.awayMs() < this.patienceMs ? this.pauseMs() : null);
    const there = await tryAgain(counted, { pauseMs, isFinal, pause: this.pause }, signal);
    this.backAt = performance.now();
    return there;
  }

  private awayMs(): number {
    return performance.now() - this.awaySince;
  }

  private pauseMs(): number {
    if (this.awayMs() >= LONG_AWAY_MS) return LONG_PAUSE_MS;
    return Math.min(MOST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.failures);
  }
}

/** A little at random, for many come back at once. */
async function aboutSo(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms * (0.5 + Math.random()), undefined, { signal });
}
