/** What another thread must know of this one to interrupt it: whether it may be stopped where it is, and whether it hears. */

const PROTECTED = 0;
const ASKED = 1;
const HEARD = 2;
const SLOTS = 3;

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
