/** Logins in good order: not too many at once, and a second try where a busy sshd dropped one unheard. */

import { tryAgain } from "../shared/come-back";
import { endpoint, type Target } from "../shared/connection-errors";

/** Hands out a fixed number of places; who waits is served in order. */
export class Semaphore {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(places: number) {
    this.#free = places;
  }

  /** Runs `work` in a place. Rejects with the signal's reason when that aborts while waiting. */
  async run<R>(signal: AbortSignal, work: () => Promise<R>): Promise<R> {
    const leave = await this.enter(signal);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** Gives the function that gives the place back. */
  async enter(signal: AbortSignal): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#leave();
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
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
      if (signal.aborted) abort();
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
const logins = new Semaphore(LOGINS_AT_ONCE);

/** Further ones, of the whole process, whose hosts do not answer: they cost a socket each, and must not hold up others. */
const SILENT_AT_ONCE = 224;
let silent = 0;

/** [ms] for which a host may be silent and keep its place: more than a round trip to most. */
const SILENT_MS = 200;

/** A place among the logins. Somebody else has it while the host is silent. */
export class LoginTurn {
  #leave: () => void;
  #lent = false;
  #over = false;

  /** Waits for a place, and gives it back afterwards. Rejects with the signal's reason when that aborts first. */
  static async run<R>(signal: AbortSignal, login: (turn: LoginTurn) => Promise<R>): Promise<R> {
    const turn = new LoginTurn(await logins.enter(signal));
    try {
      return await login(turn);
    } finally {
      turn.#over = true;
      turn.#leave();
    }
  }

  /** @param leave gives the place back; a second time does nothing */
  private constructor(leave: () => void) {
    this.#leave = leave;
  }

  /** @param answer comes when the host does; whoever goes on then calls `resume`. */
  async whileSilent<R>(answer: Promise<R>): Promise<R> {
    let lent = 0;
    let answered = false;
    const lend = (): void => {
      if (answered || silent >= SILENT_AT_ONCE) return;
      lent = 1;
      silent += lent;
      this.#lent = true;
      this.#leave();
    };
    // Only when what has come meanwhile is read: it may be us who are slow, and then more logins are the last thing to do.
    const timer = setTimeout(() => setImmediate(lend), SILENT_MS);
    try {
      return await answer;
    } finally {
      answered = true;
      clearTimeout(timer);
      silent -= lent;
    }
  }

  /** Waits for a place where it was given away. Rejects with the signal's reason when that aborts first. */
  async resume(signal: AbortSignal): Promise<void> {
    if (!this.#lent) return;
    const leave = await logins.enter(signal);
    this.#lent = false;
    this.#leave = leave;
    if (this.#over) leave();
  }
}

/** [ms] before the second and third try; each is drawn between half and one and a half of it. */
const RETRY_AFTER_MS = [250, 1000] as const;

/** [ms] An sshd counts a login as unfinished for a moment after it is through. */
const SETTLE_MS = 40;

/** Thrown by an attempt that the host dropped before it said anything: no key was shown and nothing was asked. */
export class DroppedUnheard extends Error {
  override readonly name = "DroppedUnheard";
  constructor(readonly failure: Error) {
    super(failure.message, { cause: failure });
  }
}

/** One place for each sshd that has dropped somebody, as long as somebody waits for it. */
const queues = new Map<string, { readonly place: Semaphore; users: number }>();

/**
 * sshd with full MaxStartups drops connections at random, before its identification string. Only these are tried
 * again, and only twice; what was refused with words stays refused (a repeated wrong login locks people out).
 * Second tries of this process go to the same sshd one after another: they must not fill it up again.
 * @param waiting wraps the wait for the others, which is not to count as the host's time
 */
export async function retryDropped<R>(
  target: Target,
  signal: AbortSignal,
  waiting: <W>(work: () => Promise<W>) => Promise<W>,
  attempt: () => Promise<R>,
): Promise<R> {
  const again = (failures: number): Promise<R> =>
    failures === 0 ? attempt() : inTurn(endpoint(target), signal, waiting, attempt);
  const rule = {
    pauseMs: (failures: number) => RETRY_AFTER_MS[failures] ?? null,
    isFinal: (error: unknown) => !(error instanceof DroppedUnheard),
  };
  try {
    return await tryAgain(again, rule, signal);
  } catch (error) {
    throw error instanceof DroppedUnheard ? error.failure : error;
  }
}

async function inTurn<R>(
  where: string,
  signal: AbortSignal,
  waiting: <W>(work: () => Promise<W>) => Promise<W>,
  attempt: () => Promise<R>,
): Promise<R> {
  const queue = queues.get(where) ?? { place: new Semaphore(1), users: 0 };
  queues.set(where, queue);
  queue.users++;
  try {
    const leave = await waiting(() => queue.place.enter(signal));
    try {
      return await attempt();
    } finally {
      setTimeout(leave, SETTLE_MS).unref();
    }
  } finally {
    if (--queue.users === 0) queues.delete(where);
  }
}
