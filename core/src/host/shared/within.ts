/** How a wait is bounded and cancelled: the one way for all that depends on a host, a program or a person. */
import { cancelled } from "./connection-errors";

/** [ms], Infinity: none; or one that can stand still. */
export type Limit = number | Pausable;

/** Aborted: the wait ends with ERR_CANCELLED of this host. */
export interface Until {
  readonly signal: AbortSignal;
  readonly host: string;
}

/**
 * Waits for the work, which others may share: it goes on whatever becomes of the wait, and its failure is nobody's then.
 * @param late gives what the wait ends with when its time is over, or throws it
 */
export async function within<T, L>(limit: Limit, work: PromiseLike<T>, late: () => L, until?: Until): Promise<T | L> {
  let stop: () => void = () => undefined;
  const over = new Promise<() => L>((resolve) => {
    const onAbort = (): void =>
      resolve(() => {
        throw cancelled(until?.host ?? "");
      });
    const stopClock = startClock(limit, () => resolve(late));
    until?.signal.addEventListener("abort", onAbort);
    if (until?.signal.aborted) onAbort();
    stop = () => {
      stopClock();
      until?.signal.removeEventListener("abort", onAbort);
    };
  });
  try {
    const outcome = await Promise.race([over, work.then((value) => () => value)]);
    return outcome();
  } finally {
    stop();
  }
}

/** The same without a time limit: for work that has one of its own. */
export function abortable<T>(work: PromiseLike<T>, signal: AbortSignal, host: string): Promise<T> {
  return within(Infinity, work, () => never(), { signal, host });
}

/**
 * Runs work that stops by itself when it is told to: the signal of `stop` is aborted with what the wait is to end with, and the wait ends
 * when the work has cleared up. The work may abort it, too.
 */
export async function bounded<T>(
  limit: Limit,
  work: (stop: AbortController) => Promise<T>,
  tooLate: () => Error,
  until: Until,
): Promise<T> {
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(cancelled(until.host));
  const stopClock = startClock(limit, () => stop.abort(tooLate()));
  until.signal.addEventListener("abort", onAbort);
  if (until.signal.aborted) onAbort();
  try {
    return await work(stop);
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    stopClock();
    until.signal.removeEventListener("abort", onAbort);
  }
}

/** A time limit that stands still while a person is asked. */
export class Pausable {
  #onExpired: () => void = () => undefined;
  #stopTimer: () => void = () => undefined;
  #remainingMs: number;
  #startedAt = 0;
  #pauses = 0;
  #runs = false;

  constructor(limitMs: number) {
    this.#remainingMs = limitMs;
  }

  /** Runs `work` outside of the limit. */
  async pausedFor<R>(work: () => Promise<R>): Promise<R> {
    if (this.#pauses++ === 0 && this.#runs) {
      this.#stopTimer();
      this.#remainingMs -= performance.now() - this.#startedAt;
    }
    try {
      return await work();
    } finally {
      if (--this.#pauses === 0 && this.#runs) this.#go();
    }
  }

  /** Gives what stops it, for good. */
  start(onExpired: () => void): () => void {
    this.#onExpired = onExpired;
    this.#runs = true;
    if (this.#pauses === 0) this.#go();
    return () => {
      this.#runs = false;
      this.#stopTimer();
    };
  }

  #go(): void {
    this.#startedAt = performance.now();
    this.#stopTimer = startTimer(Math.max(1, this.#remainingMs), this.#onExpired);
  }
}

function startClock(limit: Limit, onExpired: () => void): () => void {
  if (typeof limit !== "number") return limit.start(onExpired);
  if (limit === Infinity) return () => undefined;
  return startTimer(limit, onExpired);
}

/** Only when what has come meanwhile is read: where our own process stood still, nobody else was late. */
export function startTimer(ms: number, onExpired: () => void): () => void {
  let immediate: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => (immediate = setImmediate(onExpired)), ms);
  return () => {
    clearTimeout(timer);
    clearImmediate(immediate);
  };
}

function never(): never {
  throw new Error("a time without end is over");
}
