/** This machine as a host, without sshd: processes with pipes. */

import { spawn, type ChildProcessByStdio } from "node:child_process";
import { statSync } from "node:fs";
import { homedir } from "node:os";
import type { Readable, Writable } from "node:stream";
import { EngineFailure } from "../../engine/protocol/failure";
import { discardOutput, keepUnreadOutput } from "../shared/unread-output";
import type { HostConnection, ProcessExit, RemoteProcess } from "../shared/transport";

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** [ms] that processes get to end after the end of their input; the agent needs about half of it. */
const GRACE_MS = 1_000;

export function connectLocal(host: string, keepaliveIntervalMs: number): HostConnection {
  return new LocalConnection(host, keepaliveIntervalMs);
}

class LocalConnection implements HostConnection {
  readonly transport = "local";
  readonly closed: Promise<null>;
  readonly #running = new Map<Child, Promise<ProcessExit>>();
  /** Those whose output was not all read yet. */
  readonly #open = new Set<Child>();
  #closing: Promise<void> | null = null;
  #resolveClosed!: (reason: null) => void;

  constructor(
    readonly host: string,
    readonly keepaliveIntervalMs: number,
  ) {
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
  }

  async exec(command: string): Promise<RemoteProcess> {
    if (this.#closing) throw this.#failure("the connection is closed.");
    // A session of its own: the interrupt of a notebook goes to its whole process group.
    const child: Child = spawn("/bin/sh", ["-c", command], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      cwd: homeOrRoot(),
    });
    keepUnreadOutput(child);
    this.#open.add(child);
    child.once("close", () => this.#open.delete(child));
    const exited = new Promise<ProcessExit>((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    // Writing to a process that has ended is told by `exited`; an EPIPE must not end this process.
    child.stdin.on("error", () => undefined);
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.on("error", (error) => reject(this.#failure(`/bin/sh does not start: ${error.message}.`, error)));
    });
    this.#running.set(child, exited);
    void exited.then(() => this.#running.delete(child));
    return {
      stdin: child.stdin,
      stdout: child.stdout,
      stderr: child.stderr,
      exited,
      kill: () => {
        killGroup(child);
        discardOutput(child);
      },
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const running = [...this.#running];
    for (const [child] of running) child.stdin.end();
    const timer = setTimeout(() => {
      for (const [child] of this.#running) killGroup(child);
    }, GRACE_MS);
    await Promise.all(running.map(([, exited]) => exited));
    clearTimeout(timer);
    for (const child of this.#open) {
      child.stdin.destroy();
      discardOutput(child);
    }
    this.#resolveClosed(null);
  }

  #failure(what: string, cause?: unknown): EngineFailure {
    return new EngineFailure({ code: "ERR_CONNECTION", host: this.host, message: `${this.host}: ${what}` }, cause);
  }
}

function killGroup(child: Child): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It ended in this moment.
  }
}

/** Like sshd: a home directory that is missing is no reason not to run a command. */
function homeOrRoot(): string {
  const home = homedir();
  return statSync(home, { throwIfNoEntry: false })?.isDirectory() === true ? home : "/";
}
