/** What another thread must know of this one to interrupt it: whether it may be stopped where it is, and whether it hears. */

const PROTECTED = 0;
const ASKED = 1;
const HEARD = 2;
const PARKED = 3;
const SLOTS = 4;

/** What PARKED holds. */
const RUNS = 0;
const WAITS = 1;
const STOPS = 2;
/** [ms] that this thread waits at most for what the other one decides. */
const PARK_MS = 200;

export class ThreadState {
  private readonly slots: Int32Array;

  /** @param memory shared by both threads. */
  constructor(readonly memory = new SharedArrayBuffer(SLOTS * Int32Array.BYTES_PER_ELEMENT)) {
    this.slots = new Int32Array(memory);
  }

  /** Runs what would be broken by being stopped halfway; its synchronous part only. */
  protect<T>(work: () => T): T {
    Atomics.add(this.slots, PROTECTED, 1);
    try {
      return work();
    } finally {
      Atomics.sub(this.slots, PROTECTED, 1);
    }
  }

  /** Inside what is protected: runs what may be stopped. */
  expose<T>(work: () => T): T {
    const before = Atomics.exchange(this.slots, PROTECTED, 0);
    try {
      return work();
    } finally {
      // Not reached when it was stopped; then nothing is protected any more.
      Atomics.store(this.slots, PROTECTED, before);
    }
  }

  /** The thread was stopped: nothing of what it ran goes on. */
  reset(): void {
    Atomics.store(this.slots, PROTECTED, 0);
  }

  get isProtected(): boolean {
    return Atomics.load(this.slots, PROTECTED) > 0;
  }

  /** By this thread, in the middle of what it runs: waits for what the other one decides. True: it is stopped next. */
  park(): boolean {
    Atomics.store(this.slots, PARKED, WAITS);
    Atomics.wait(this.slots, PARKED, WAITS, PARK_MS);
    return Atomics.exchange(this.slots, PARKED, RUNS) === STOPS;
  }

  get isParked(): boolean {
    return Atomics.load(this.slots, PARKED) === WAITS;
  }

  /** By the other thread: ends the wait, with a stop that the work asks for. False: nobody waits. */
  stopParked(work: () => void): boolean {
    if (Atomics.compareExchange(this.slots, PARKED, WAITS, STOPS) !== WAITS) return false;
    work();
    Atomics.notify(this.slots, PARKED);
    return true;
  }

  /** By the other thread: what runs goes on. */
  leaveParked(): void {
    Atomics.compareExchange(this.slots, PARKED, WAITS, RUNS);
    Atomics.notify(this.slots, PARKED);
  }

  /** By the other thread. Gives a number for `heard`. */
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
}
