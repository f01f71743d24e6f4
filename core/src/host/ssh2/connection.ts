/** A login that stands: its processes, its end. */

import type { ClientChannel } from "ssh2";
import { EngineFailure } from "../../engine/protocol/failure";
import { fail, type Target } from "../shared/connection-errors";
import { Ssh2Tunnels } from "../ports/ssh2";
import type { Login } from "./login";
import {
  CLOSE_MS,
  type HostConnection,
  type LogLevel,
  type ProcessExit,
  type RemoteProcess,
  type Tunnels,
} from "../shared/transport";

export class Ssh2Connection implements HostConnection {
  readonly transport = "ssh2";
  readonly host: string;
  readonly tunnels: Tunnels;
  readonly closed: Promise<EngineFailure | null>;
  #isClosed = false;
  #closing = false;
  /** The last error of the client, which explains the close that follows it. */
  #reason: Error | null = null;
  /** Of what it stands on. */
  #released: Promise<void> | undefined;

  constructor(
    readonly target: Target,
    readonly login: Login,
    readonly keepaliveIntervalMs: number,
    readonly log: (level: LogLevel, message: string) => void,
    /** Gives the jump host back; null: there is none. */
    release: (() => Promise<void>) | null,
  ) {
    this.host = target.host;
    const { client } = login;
    this.tunnels = new Ssh2Tunnels(client, target, () => login.socket.destroyed);
    client.on("error", (error) => (this.#reason = error));
    // Emitted by the socket's own end, so it comes whatever happened before.
    this.closed = new Promise((resolve) => {
      client.once("close", () => {
        this.#isClosed = true;
        this.#released = release?.();
        resolve(this.#closing ? null : this.#lost());
      });
    });
  }

  exec(command: string): Promise<RemoteProcess> {
    return new Promise((resolve, reject) => {
      if (this.#closing || this.#isClosed) throw this.#gone();
      try {
        this.login.client.exec(command, (error: (Error & { reason?: unknown }) | undefined, channel) => {
          if (error) reject(this.#refused(error));
          // At once: how it ended may have come together with the channel, and is told to who listens then.
          else resolve(this.#process(channel));
        });
      } catch {
        reject(this.#gone()); // ssh2 throws when the socket is already ending
      }
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (!this.#isClosed) {
      const timer = setTimeout(() => this.login.socket.destroy(), CLOSE_MS);
      this.login.client.end();
      await this.closed;
      clearTimeout(timer);
    }
    await this.#released;
  }

  #process(channel: ClientChannel): RemoteProcess {
    const exited = new Promise<ProcessExit>((resolve) => {
      channel.once("exit", (code: number | null, signal?: string) => resolve({ code, signal: signal ?? null }));
      channel.once("close", () => resolve({ code: null, signal: null }));
      void this.closed.then(() => resolve({ code: null, signal: null }));
    });
    // Writing after the end is told by `exited`, and must not end this process.
    channel.on("error", (error: Error) => this.log("debug", `${this.host}: channel: ${error.message}`));
    return {
      stdin: channel,
      stdout: channel,
      stderr: channel.stderr,
      exited,
      kill: () => {
        channel.signal("KILL");
        channel.close();
      },
    };
  }

  #lost(): EngineFailure {
    const reason = this.#reason;
    if (reason !== null && "level" in reason && reason.level === "client-timeout") {
      return fail(
        this.target,
        "ERR_CONNECTION",
        `the connection is lost: the host has not answered for ${(this.keepaliveIntervalMs * 4) / 1000} s. Check that it is up, and the network.`,
        { errno: "ETIMEDOUT" },
      );
    }
    if (reason instanceof EngineFailure && reason.data.code === "ERR_HOST_KEY") return reason;
    const why = reason === null ? "the host closed it" : reason.message;
    return fail(
      this.target,
      "ERR_CONNECTION",
      `the connection is lost: ${why}. Check that the host is up.`,
      {},
      reason ?? undefined,
    );
  }

  #gone(): EngineFailure {
    return fail(this.target, "ERR_CONNECTION", "the connection is closed.");
  }

  #refused(error: Error & { reason?: unknown }): EngineFailure {
    if (this.#isClosed || this.#closing) return this.#gone();
    // sshd says only "open failed" when it has MaxSessions of them; a command that may not run comes later.
    const why =
      error.reason === undefined
        ? `the host refused to run a command: ${error.message}. Its sshd may allow other things only (ForceCommand, no shell).`
        : `the host refused another session: ${error.message}. Its sshd may allow too few (MaxSessions).`;
    return fail(this.target, "ERR_CONNECTION", why, {}, error);
  }
}
