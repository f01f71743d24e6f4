/**
 * Interrupts the main thread from another one: politely where its event loop still turns, else by stopping what it runs.
 *
 * V8 unwinds everything that a stopped thread has on its stack, and Node then finds that the ids of asynchronous work that
 * were entered were never left, and ends the process. So they are cleared before, by the same inspector session, in the
 * middle of the loop.
 */
import { Session } from "inspector";
import { CLEAR } from "./prepare";
import type { ThreadState } from "./thread-state";

/** [ms] in which an event loop that turns has heard of an interrupt. */
const HEAR_MS = 150;
const LOOK_MS = 10;
/** [ms] that stopping may take; longer takes what blocks outside JavaScript. */
const STOP_MS = 300;
/** [ms] after which an interrupt gives up: it could not stop what does not run JavaScript. */
const GIVE_UP_MS = 10_000;

export interface InterruptedThread {
  /** Tells its event loop that it is interrupted. */
  tell(): void;
  /** Tells its event loop that what it ran was stopped. */
  stopped(): void;
}

export class Interrupter {
  private busy: Promise<void> | null = null;

  constructor(
    private readonly state: ThreadState,
    private readonly thread: InterruptedThread,
  ) {}

  /** Resolves when the thread has heard, or was stopped, or cannot be. */
  interrupt(): Promise<void> {
    this.busy ??= this.work().finally(() => (this.busy = null));
    return this.busy;
  }

  private async work(): Promise<void> {
    const asked = this.state.ask();
    this.thread.tell();
    const heard = (): boolean => this.state.hasHeard(asked);
    const deadline = Date.now() + GIVE_UP_MS;
    await until(heard, HEAR_MS);
    while (!heard() && Date.now() < deadline) {
      // The compiler goes on to its end; then the cell does not even begin.
      if (this.state.isProtected) await pause(LOOK_MS);
      else if (await this.stop(heard)) {
        this.thread.stopped();
        await until(heard, HEAR_MS);
      } else {
        signalGroup();
        await until(heard, HEAR_MS);
      }
    }
  }

  /** False where it could not be stopped in time. */
  private async stop(heard: () => boolean): Promise<boolean> {
    const session = new Session();
    session.connectToMainThread();
    try {
      void post(session, "Runtime.evaluate", { expression: `${CLEAR}()` });
      await until(() => this.state.isParked, STOP_MS, 1);
      if (heard() || this.state.isProtected) {
        this.state.leaveParked();
        return false;
      }
      // The thread waits inside the inspector, which goes on with this: nothing is run between clearing and stopping.
      const stopping: Promise<boolean>[] = [];
      const parked = this.state.stopParked(() => stopping.push(post(session, "Runtime.terminateExecution")));
      return parked && ((await stopping[0]) ?? false);
    } finally {
      session.disconnect();
    }
  }
}

/** True when it was answered in time. */
function post(session: Session, method: string, parameters: object = {}): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), STOP_MS);
    session.post(method, parameters, (error) => {
      clearTimeout(timer);
      resolve(error === null);
    });
  });
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

async function until(condition: () => boolean, ms: number, lookMs = LOOK_MS): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition() && Date.now() < deadline) await pause(lookMs);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
