/** A connection from a jump host on: a channel of its login, which a second login takes for its socket. */
import { Duplex } from "node:stream";
import type { ClientChannel } from "ssh2";
import { EngineFailure } from "../../engine/protocol/failure";
import { harmless } from "../shared/harmless";
import { endpoint, fail, jumpCannotReach, jumpForbids, type Target } from "../shared/connection-errors";
import type { Ssh2Connection } from "./connection";

/** RFC 4254, 5.1 */
const PROHIBITED = 1;
const CONNECT_FAILED = 2;

/** Rejects EngineFailure, or the signal's reason. */
export function openThrough(hop: Ssh2Connection, target: Target, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    const opened = (error: (Error & { reason?: unknown }) | undefined, channel: ClientChannel): void => {
      signal.removeEventListener("abort", abort);
      if (error) reject(refused(hop, target, error));
      else if (signal.aborted) channel.close();
      else resolve(new JumpStream(channel, hop.closed));
    };
    try {
      hop.login.client.forwardOut("127.0.0.1", 0, target.address, target.port, opened);
    } catch {
      signal.removeEventListener("abort", abort);
      reject(fail(target, "ERR_CONNECTION", `the connection to its jump host ${hop.host} was lost. Try again.`));
    }
    if (signal.aborted) abort();
  });
}

/**
 * A channel as ssh2 wants a socket. A channel by itself is closed only when the far end agrees, and never says so when
 * its connection is lost.
 */
class JumpStream extends Duplex {
  constructor(
    private readonly channel: ClientChannel,
    hopClosed: Promise<EngineFailure | null>,
  ) {
    super();
    channel.on("data", (piece: Buffer) => {
      if (!this.push(piece)) channel.pause();
    });
    channel.on("end", () => this.push(null)).on("close", () => this.destroy());
    channel.on("error", (error: Error) => this.destroy(error));
    void hopClosed.then((failure) => this.destroy(failure ?? undefined));
  }

  override _read(): void {
    this.channel.resume();
  }

  override _write(piece: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.channel.write(piece, encoding, done);
  }

  override _final(done: () => void): void {
    this.channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.channel.close();
    done(error);
  }
}

function refused(hop: Ssh2Connection, target: Target, error: Error & { reason?: unknown }): EngineFailure {
  const why = harmless(error.message.replace(/^\(SSH\) Channel open failure: /, ""));
  const said = why === "" ? "" : ` (${why})`;
  switch (error.reason) {
    case PROHIBITED:
      return jumpForbids(target, hop.host, why, error);
    case CONNECT_FAILED:
      return jumpCannotReach(target, hop.host, why, error);
    default:
      return fail(
        target,
        "ERR_CONNECTION",
        `its jump host ${hop.host} opened no connection to ${endpoint(target)}${said}.`,
        {},
        error,
      );
  }
}
