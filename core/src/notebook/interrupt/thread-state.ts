/**
 * What two threads must agree on so that the one can stop what the other runs: memory of both.
 *
 * A stop is delivered by a rendezvous, in which each step is one atomic exchange, so that no delay of either side changes
 * what comes of it:
 *
 *     offered ──► stands ──► claimed ──► posted ──► left
 *        │          └─────────┴──► declined
 *        └──► withdrawn, declined
 *
 * The other thread offers. This one, which meets the offer in the middle of what it runs, declines, or stands still. Only
 * what stands is claimed; from then on it stands until the other side says that the stop is on its way, or that there is
 * none. An offer that was withdrawn, or is not the latest, means nothing.
 */

const ASKED = 0;
const HEARD = 1;
const OFFER = 2;
const SLOTS = 3;

/** What OFFER holds beside the number of the offer. */
const OFFERED = 0;
const STANDS = 1;
const CLAIMED = 2;
const POSTED = 3;
const LEFT = 4;
const DECLINED = 5;
const WITHDRAWN = 6;
const PHASES = 8;
/** Numbers of offers, which run over. */
const OFFERS = 0x7fffffff / PHASES;

/** [ms] that this thread stands at most for one that does not even claim: it has ended. */
const STAND_MS = 5000;

/** Where a test may delay either side. */
export type Step =
  | "offered"
  | "withdrawing"
  | "found standing"
  | "claimed"
  | "posting"
  | "posted"
  | "met"
  | "standing"
  | "released"
  | "leaving";

export interface ThreadStateOptions {
  readonly standMs?: number;
  readonly delay?: (step: Step) => void;
}

export class ThreadState {
  private readonly slots: Int32Array;
  private readonly standMs: number;
  private readonly delay: (step: Step) => void;

  /** @param memory shared by both threads. */
  constructor(
    readonly memory = new SharedArrayBuffer(SLOTS * Int32Array.BYTES_PER_ELEMENT),
    { standMs = STAND_MS, delay = () => undefined }: ThreadStateOptions = {},
  ) {
    this.slots = new Int32Array(memory);
    this.standMs = standMs;
    this.delay = delay;
  }

  /** By the other thread. Gives a number for `hasHeard`. */
  ask(): number {
    return Atomics.add(this.slots, ASKED, 1) + 1;
  }

  /** By this thread, when its event loop has seen the interrupt. */
  hear(): void {
    Atomics.store(this.slots, HEARD, Atomics.load(this.slots, ASKED));
  }

  hasHeard(asked: number): boolean {
    return Atomics.load(this.slots, HEARD) >= asked;
  }

  /** An interrupt was asked for and the event loop has not seen it yet. */
  get wasInterrupted(): boolean {
    return Atomics.load(this.slots, ASKED) > Atomics.load(this.slots, HEARD);
  }

  /** By the other thread: gives the number of a new offer to stop this one. The former one has come to its end. */
  offer(): number {
    const offer = (Math.floor(Atomics.load(this.slots, OFFER) / PHASES) + 1) % OFFERS;
    Atomics.store(this.slots, OFFER, offer * PHASES + OFFERED);
    this.delay("offered");
    return offer;
  }

  /** By the other thread: what this one has said to it. */
  answerTo(offer: number): "none" | "stands" | "declined" {
    const phase = Atomics.load(this.slots, OFFER) - offer * PHASES;
    if (phase === OFFERED) return "none";
    return phase === STANDS ? "stands" : "declined";
  }

  /** By the other thread. False: it was answered just now. */
  withdraw(offer: number): boolean {
    this.delay("withdrawing");
    return this.pass(offer, OFFERED, WITHDRAWN);
  }

  /**
   * By the other thread, where this one stands: sends the stop on its way. False: it does not stand any more.
   *
   * @param post throws where it cannot be sent.
   */
  deliver(offer: number, post: () => void): boolean {
    this.delay("found standing");
    if (!this.pass(offer, STANDS, CLAIMED)) return false;
    let phase = DECLINED;
    try {
      this.delay("claimed");
      post();
      this.delay("posting");
      phase = POSTED;
      return true;
    } finally {
      this.pass(offer, CLAIMED, phase);
      this.delay("posted");
    }
  }

  /** By the other thread: this one has left the place where it stood. */
  hasLeft(offer: number): boolean {
    return Atomics.load(this.slots, OFFER) !== offer * PHASES + POSTED;
  }

  /**
   * By this thread, in the middle of what it runs. Returns when that goes on, or is stopped next.
   *
   * It stands without `Atomics.wait`: it may be inside another one, and a thread has room for one only.
   *
   * @param mayStop here, that is.
   * @param prepare for the stop, which is the next that happens.
   */
  stand(offer: number, mayStop: () => boolean, prepare: () => void): void {
    this.delay("met");
    if (!this.wasInterrupted || !mayStop()) {
      this.pass(offer, OFFERED, DECLINED);
      return;
    }
    if (!this.pass(offer, OFFERED, STANDS)) return;
    this.delay("standing");
    const until = now() + this.standMs;
    for (;;) {
      const phase = Atomics.load(this.slots, OFFER) - offer * PHASES;
      if (phase === POSTED) break;
      if (phase !== STANDS && phase !== CLAIMED) return;
      if (phase === STANDS && now() > until && this.pass(offer, STANDS, DECLINED)) return;
    }
    this.delay("released");
    prepare();
    this.pass(offer, POSTED, LEFT);
    this.delay("leaving");
  }

  private pass(offer: number, from: number, to: number): boolean {
    const word = offer * PHASES;
    return Atomics.compareExchange(this.slots, OFFER, word + from, word + to) === word + from;
  }
}

/** Whatever cells put in its place. */
const now = performance.now.bind(performance);
