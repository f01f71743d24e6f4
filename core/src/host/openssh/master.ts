/** An ssh that logs in and then stays, for processes to use its login. It never outlives this process. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { CLOSE_MS } from "../shared/transport";
import { startTimer } from "../shared/within";

/**
 * Runs its arguments, behind a folder's path, and ends them at the end of its own input: with this process, however
 * that ends. It ends with them, and removes the folder.
 */
const GUARD = `folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
ssh=$!
( exec >/dev/null 2>&1; read -r line <&3; kill "$ssh" ) &
watcher=$!
exec 3<&- >/dev/null 2>&1
wait "$ssh"
kill "$watcher"
rm -rf -- "$folder"`;

/** [ms] for which ssh's last words are awaited: what a ProxyCommand leaves behind may hold the pipe open for ever. */
const LAST_WORDS_MS = 200;

/** [bytes] of ssh's words that are kept: enough for a login at LogLevel DEBUG1. */
const MAX_WORDS = 256 * 1024;
/** [bytes] of them once the login stands. */
const MAX_LAST_WORDS = 8 * 1024;

/** [bytes] The path of a socket has 104 to 108, of which ssh's own temporary name takes some. */
const MAX_PARENT = 60;

export class Master {
  /** Private; goes with the master. */
  readonly folder: string;
  /** Where it can be reached once the login stands. */
  readonly socket: string;
  /** Resolves when ssh has ended and all of its words have come. Never rejects. */
  readonly ended: Promise<void>;
  private words = "";
  private keep = MAX_WORDS;
  private guard: ChildProcessByStdio<Writable, Readable, Readable> | null = null;
  private readonly reportEnded: () => void;
  private onWords: () => void = () => undefined;

  static async create(): Promise<Master> {
    const parent = tmpdir().length > MAX_PARENT ? "/tmp" : tmpdir();
    return new Master(await mkdtemp(join(parent, "lazycluster-ssh-")));
  }

  private constructor(folder: string) {
    this.folder = folder;
    this.socket = join(folder, "m");
    let report: () => void = () => undefined;
    this.ended = new Promise((resolve) => (report = resolve));
    this.reportEnded = report;
  }

  /** What ssh has written, the last of it. */
  get stderr(): string {
    return this.words;
  }

  /** Starts ssh. Resolves with true when the login stands, with false when ssh ended before. */
  start(args: readonly string[], env: NodeJS.ProcessEnv, trace: (text: string) => void): Promise<boolean> {
    // A session of its own: the interrupt of a notebook is not for it, and a kill reaches all that it started.
    const guard = spawn("/bin/sh", ["-c", GUARD, "lazycluster", this.folder, "ssh", ...args], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      env,
    });
    this.guard = guard;
    guard.on("error", () => this.reportEnded());
    guard.stdin.on("error", () => undefined);
    guard.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.words = (this.words + text).slice(-this.keep);
      trace(text);
      this.onWords();
    });
    guard.stdout.resume();
    guard.once("exit", () => {
      const stopTimer = startTimer(LAST_WORDS_MS, this.reportEnded);
      guard.stderr.once("close", () => {
        stopTimer();
        this.reportEnded();
      });
    });
    return new Promise((resolve) => {
      this.onWords = () => {
        // Its words are news that something happened. That the login stands is told by the socket alone.
        if (!existsSync(this.socket)) return;
        this.onWords = () => undefined;
        this.keep = MAX_LAST_WORDS;
        resolve(true);
      };
      void this.ended.then(() => resolve(false));
    });
  }

  /** Idempotent, bounded. Resolves when ssh, what it started and the folder are gone. */
  async stop(): Promise<void> {
    const { guard } = this;
    if (guard !== null && guard.exitCode === null && guard.signalCode === null && guard.pid !== undefined) {
      const gone = new Promise<void>((resolve) => guard.once("exit", () => resolve()));
      guard.stdin.end();
      const timer = setTimeout(() => killGroup(guard.pid), CLOSE_MS);
      await gone;
      clearTimeout(timer);
      // A ProxyCommand that did not end with ssh.
      killGroup(guard.pid);
      guard.stdout.destroy();
      guard.stderr.destroy();
    }
    await rm(this.folder, { recursive: true, force: true }).catch(() => undefined);
    this.reportEnded();
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // nobody is left
  }
}
