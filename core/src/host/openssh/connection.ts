/** A login that OpenSSH's client holds: its processes, its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { EngineFailure } from "../../engine/protocol/failure";
import { harmless } from "../shared/harmless";
import { fail, type Target } from "../shared/connection-errors";
import type { Master } from "./master";
import { sessionArguments, silenceSeconds } from "./options";
import { discardOutput, keepUnreadOutput } from "../shared/unread-output";
import { CLOSE_MS, type HostConnection, type ProcessExit, type RemoteProcess } from "../shared/transport";
import { within } from "../shared/within";

/** [ms] between two looks whether a session is open; they get longer. */
const FIRST_LOOK_MS = 2;
const LONGEST_LOOK_MS = 25;
/** [ms] until the loss of a connection is told to who lost a session by it. */
const LOSS_MS = 500;

export class OpenSshConnection implements HostConnection {
  readonly transport = "openssh";
  readonly host: string;
  readonly closed: Promise<EngineFailure | null>;
  #isClosed = false;
  #closing: Promise<void> | null = null;
  #sessions = 0;
  readonly #running = new Set<Promise<unknown>>();
  #released: Promise<void> | undefined;
  /** Those whose output was not all read yet. */
  readonly #open = new Set<ChildProcess>();

  constructor(
    readonly target: Target,
    readonly master: Master,
    readonly keepaliveIntervalMs: number,
    /** Gives the jump host back; null: there is none. */
    release: (() => Promise<void>) | null,
  ) {
    this.host = target.host;
    this.closed = master.ended.then(() => {
      this.#isClosed = true;
      this.#released = release?.();
      const reason = this.#closing === null ? this.#lost() : null;
      void this.close();
      return reason;
    });
  }

  async exec(command: string): Promise<RemoteProcess> {
    if (this.#closing !== null || this.#isClosed) throw this.#gone();
    const log = join(this.master.folder, `s${++this.#sessions}`);
    const child = spawn("ssh", sessionArguments(this.master.socket, log, command), {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    keepUnreadOutput(child);
    this.#open.add(child);
    child.once("close", () => this.#open.delete(child));
    child.stdin.on("error", () => undefined);
    const session = { ended: false };
    const ending = new Promise<void>((resolve) => {
      child.once("exit", resolve).once("error", resolve);
    }).then(() => (session.ended = true));
    const exited = ending.then(() => readExit(log));
    const over = exited.then(() => rm(log, { force: true })).catch(() => undefined);
    this.#running.add(over);
    void over.then(() => this.#running.delete(over));

    // The processes of the host write to these pipes themselves, so only its log says whether there is one.
    for (let look = FIRST_LOOK_MS; !/master session id/.test(read(log)); look = Math.min(look * 1.5, LONGEST_LOOK_MS)) {
      if (session.ended) throw await this.#refused(read(log));
      await within(look, ending, () => true);
    }
    return {
      stdin: child.stdin,
      stdout: child.stdout,
      stderr: child.stderr,
      exited,
      kill: () => {
        child.kill("SIGKILL");
        discardOutput(child);
      },
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.master.stop();
    // They end with it.
    await within(CLOSE_MS, Promise.all(this.#running), () => []);
    await this.closed;
    await this.#released;
    for (const child of this.#open) discardOutput(child);
  }

  #lost(): EngineFailure {
    const words = harmless(this.master.stderr);
    if (/^Timeout, server .* not responding/m.test(words)) {
      return fail(
        this.target,
        "ERR_CONNECTION",
        `the connection is lost: the host has not answered for ${silenceSeconds(this.keepaliveIntervalMs)} s. Check that it is up, and the network.`,
        { errno: "ETIMEDOUT" },
      );
    }
    const said = words
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "" && !/^debug\d|^Transferred:|^Bytes per second:/.test(line));
    return fail(
      this.target,
      "ERR_CONNECTION",
      `the connection is lost: ${said.at(-1)?.replace(/\.$/, "") ?? "ssh ended"}. Check that the host is up.`,
    );
  }

  #gone(): EngineFailure {
    return fail(this.target, "ERR_CONNECTION", "the connection is closed.");
  }

  async #refused(log: string): Promise<EngineFailure> {
    const said = /request failed: (.*)/.exec(log)?.[1]?.trim();
    // It may have ended with the connection, which is told a moment later.
    if (said === undefined) await within(LOSS_MS, this.closed, () => null);
    if (this.#isClosed || this.#closing !== null) return this.#gone();
    const why = said ?? log.trim().split("\n").at(-1) ?? "";
    return fail(
      this.target,
      "ERR_CONNECTION",
      `the host refused another session: ${harmless(why)}. Its sshd may allow too few (MaxSessions).`,
    );
  }
}

/** Without a status: it was ended by a signal, or with the connection. */
function readExit(log: string): ProcessExit {
  const status = /Received exit status from master (\d+)/.exec(read(log))?.[1];
  return { code: status === undefined ? null : Number(status), signal: null };
}

function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return ""; // not yet
  }
}
