/**
 * What was started must be ended, whatever ends the script: its own end, an error, Ctrl-C, a closed terminal.
 * Everything that starts something adds how it is ended; the endings run once, last first.
 */

import { setMaxListeners } from "node:events";

/** @typedef {() => void | Promise<void>} Ending */

/** Thrown by whatever was going on when the user asked to stop. It is no failure, so nobody prints it. */
export class Stopped extends Error {
  constructor() {
    super("Stopped.");
    this.name = "Stopped";
  }
}

const parentCheckMs = 300;

export class Lifetime {
  /** @type {Ending[]} */
  #endings = [];
  /** @type {Promise<void> | undefined} */
  #ended;
  #stopping = new AbortController();

  constructor() {
    // Many commands may run at once, and each listens.
    setMaxListeners(0, this.signal);
  }

  /** Aborted as soon as the user asks to stop. */
  get signal() {
    return this.#stopping.signal;
  }

  /**
   * @param {Ending} ending
   * @returns {() => void} forgets the ending, for what has ended by itself
   */
  add(ending) {
    this.#endings.push(ending);
    return () => {
      this.#endings = this.#endings.filter((other) => other !== ending);
    };
  }

  /**
   * A signal only asks to stop, however often it comes: the endings are bounded in time, and to cut them short would leave
   * processes behind. (A terminal's Ctrl-C comes twice anyway, once from the terminal and once handed on by npm.)
   */
  listen() {
    for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
      process.on(signal, () => this.#stopping.abort(new Stopped()));
    }
    if (process.env["npm_lifecycle_event"] !== undefined) this.#stopWithParent();
    // A closed terminal must not turn the next line of progress into a crash that skips the endings.
    for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  }

  /** Whoever ends npm means us, but npm hands a signal only to the shell between it and us, which dies of it in silence. */
  #stopWithParent() {
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent) this.#stopping.abort(new Stopped());
    }, parentCheckMs).unref();
  }

  throwIfStopped() {
    if (this.signal.aborted) throw new Stopped();
  }

  /** Resolves when the user asks to stop. */
  async untilStopped() {
    if (this.signal.aborted) return;
    await new Promise((resolve) => this.signal.addEventListener("abort", resolve, { once: true }));
  }

  /** Runs all endings; every call waits for the same one run. One that fails does not keep the others from running. */
  end() {
    this.#ended ??= (async () => {
      for (let ending = this.#endings.pop(); ending !== undefined; ending = this.#endings.pop()) {
        try {
          await ending();
        } catch (error) {
          console.error(error instanceof Error ? error.message : String(error));
        }
      }
    })();
    return this.#ended;
  }
}
