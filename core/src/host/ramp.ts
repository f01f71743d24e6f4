/** Logins in good order: not too many at once, and a second try where a busy sshd dropped one unheard. */

import { setTimeout as sleep } from "node:timers/promises";

/** Hands out a fixed number of places; who waits is served in order. */
export class Semaphore {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(places: number) {
    this.#free = places;
  }

  /** Runs `work` in a place. Rejects with the signal's reason when that aborts while waiting. */
  async run<R>(signal: AbortSignal, work: () => Promise<R>): Promise<R> {
    await this.#enter(signal);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  #enter(signal: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
      const abort = (): void => {
        this.#waiting.delete(enter);
        reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
      };
      this.#waiting.add(enter);
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
    } else {
      this.#waiting.delete(next);
      next();
    }
  }
}

/** Of the whole process: a login costs CPU here (key exchange), and bastions count connections that are not logged in. */
const LOGINS_AT_ONCE = 32;
export const logins = new Semaphore(LOGINS_AT_ONCE);

/** [ms] before the second and third try; each is drawn between half and one and a half of it. */
const RETRY_AFTER_MS = [250, 1000] as const;

/** Thrown by an attempt that the host dropped before it said anything: no key was shown and nothing was asked. */
export class DroppedUnheard extends Error {
  override readonly name = "DroppedUnheard";
  constructor(readonly failure: Error) {
    super(failure.message, { cause: failure });
  }
}

/**
 * sshd with full MaxStartups drops connections at random, before its identification string. Only these are tried
 * again, and only twice; what was refused with words stays refused (a repeated wrong login locks people out).
 */
export async function retryDropped<R>(signal: AbortSignal, attempt: () => Promise<R>): Promise<R> {
  for (const pause of RETRY_AFTER_MS) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof DroppedUnheard)) throw error;
      await sleep(pause * (0.5 + Math.random()), undefined, { signal });
    }
  }
  try {
    return await attempt();
  } catch (error) {
    throw error instanceof DroppedUnheard ? error.failure : error;
  }
}
