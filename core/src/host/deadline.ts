/** A time limit that stands still while a person is asked. */

export class Deadline {
  readonly #onExpired: () => void;
  #timer: NodeJS.Timeout | undefined;
  #remainingMs: number;
  #startedAt = 0;
  #pauses = 0;

  constructor(limitMs: number, onExpired: () => void) {
    this.#remainingMs = limitMs;
    this.#onExpired = onExpired;
    this.#start();
  }

  /** Runs `work` outside of the limit. */
  async pausedFor<R>(work: () => Promise<R>): Promise<R> {
    if (this.#pauses++ === 0 && this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#remainingMs -= performance.now() - this.#startedAt;
    }
    try {
      return await work();
    } finally {
      if (--this.#pauses === 0 && this.#timer !== undefined) this.#start();
    }
  }

  /** For good. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #start(): void {
    this.#startedAt = performance.now();
    this.#timer = setTimeout(this.#onExpired, Math.max(1, this.#remainingMs));
  }
}
