/**
 * Interrupts the main thread from another one: politely where its event loop still turns, else by stopping what it runs.
 *
 * V8 unwinds everything that a stopped thread has on its stack, and Node then finds that the ids of asynchronous work that
 * were entered were never left, and ends the process. So the thread clears them before, where it stands still in the middle
 * of its loop for the stop (`ThreadState`). How long anything takes decides only how soon that comes, never whether it is safe.
 */
import { readFileSync } from "fs";
import { Session } from "inspector";
import { standExpression } from "./prepare";
import type { ThreadState } from "./thread-state";

/** [ms] in which an event loop that turns has heard of an interrupt, so that what is interrupted may tidy up. */
const HEAR_MS = 150;
const LOOK_MS = 10;
/** [ms] between looks while the thread may stand still, and before it is asked again where it may not be stopped. */
const SOON_MS = 1;
/** So often it is asked at once: in a flood of `await`s most is Node's work, and not that of the cell. */
const MANY = 200;
/** [ms] after which one that does not answer is taken to wait for a child process. */
const BLOCKED_MS = 300;
/** [ms] in which it is then told so, again and again. */
const SIGNAL_MS = 10_000;

export interface InterruptedThread {
  /** Tells its event loop that it is interrupted. */
  tell(): void;
  /** Tells its event loop that what it ran was stopped. */
  stopped(): void;
}

export class Interrupter {
  private busy: Promise<void> | null = null;
  /** The latest that was asked for. */
  private asked = 0;
  private patientUntil = -Infinity;
  private signalUntil = -Infinity;
  /** The inspector has told what became of the latest stop. */
  private told = true;

  constructor(
    private readonly state: ThreadState,
    private readonly thread: InterruptedThread,
    private readonly hearMs = HEAR_MS,
  ) {}

  /** Resolves when the thread has heard: an interrupt stays in force for as long as it does not. */
  interrupt(): Promise<void> {
    // Also where a former one is on its way, or has just been heard: this one may mean the next cell.
    this.asked = this.state.ask();
    this.signalUntil = performance.now() + SIGNAL_MS;
    this.patientUntil = performance.now() + this.hearMs;
    this.thread.tell();
    this.busy ??= this.work().finally(() => (this.busy = null));
    return this.busy;
  }

  private get heard(): boolean {
    return this.state.hasHeard(this.asked);
  }

  private async work(): Promise<void> {
    const session = new Session();
    try {
      for (let tried = 0; ; tried++) {
        while (!this.heard && performance.now() < this.patientUntil) await pause(LOOK_MS);
        if (this.heard) return;
        if (tried === 0) session.connectToMainThread();
        if (await this.stop(session)) {
          this.thread.stopped();
          this.patientUntil = performance.now() + this.hearMs;
        } else await pause(tried < MANY ? SOON_MS : LOOK_MS);
      }
    } finally {
      session.disconnect();
    }
  }

  /** False where it may not be stopped now, or need not. */
  private async stop(session: Session): Promise<boolean> {
    if (!this.told) this.makeItTell(session);
    const offer = this.state.offer();
    session.post("Runtime.evaluate", { expression: standExpression(offer) });
    let since = performance.now();
    for (;;) {
      const answer = this.state.answerTo(offer);
      if (answer === "declined") return false;
      if (answer === "stands") break;
      if (this.heard && this.state.withdraw(offer)) return false;
      const now = performance.now();
      const waited = now - since;
      if (waited > BLOCKED_MS && now < this.signalUntil) {
        if (sleeps()) signalGroup();
        since = now;
      }
      await pause(waited > BLOCKED_MS ? LOOK_MS : SOON_MS);
    }
    // The thread stands inside the inspector, which goes on with this: nothing is run between clearing and stopping.
    const posted = this.state.deliver(offer, () => {
      this.told = false;
      session.post("Runtime.terminateExecution", (error) => {
        if (!error) this.told = true;
      });
    });
    while (!this.state.hasLeft(offer)) await pause(SOON_MS);
    return posted;
  }

  /** It takes no other stop before it has told of the former, which it does after a call that ends, or like this. */
  private makeItTell(session: Session): void {
    session.post("Runtime.evaluate", { expression: "for (;;);", timeout: 1 });
  }
}

/** What waits for a child process outside JavaScript is interrupted as a terminal does it: with all that runs below it. */
function signalGroup(): void {
  // The leader of a group has its number. Others would signal processes that are not theirs.
  try {
    process.kill(-process.pid, "SIGINT");
  } catch {
    // It leads none.
  }
}

/** The main thread does; one that has too little of the machine to answer does not. */
function sleeps(): boolean {
  try {
    const stat = readFileSync(`/proc/self/task/${String(process.pid)}/stat`, "latin1");
    return stat.charAt(stat.lastIndexOf(")") + 2) !== "R";
  } catch {
    // A system that does not say.
    return true;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
