/** Port forwarding by the host's own sshd. */
import type { Client } from "ssh2";
import { fail, type Target } from "./connection-errors";
import type { TunnelOutcome, Tunnels } from "./transport";

/** Of RFC 4254, 5.1. */
const ADMINISTRATIVELY_PROHIBITED = 1;
const LOOPBACK = "127.0.0.1";
/** A service may listen on one of them only. */
const PLACES = [LOOPBACK, "::1"];

export class Ssh2Tunnels implements Tunnels {
  constructor(
    private readonly client: Client,
    private readonly target: Target,
  ) {}

  async dial(port: number): Promise<TunnelOutcome> {
    let first: TunnelOutcome | null = null;
    for (const place of PLACES) {
      const outcome = await this.dialAt(place, port);
      if (outcome.kind !== "refused") return outcome;
      first ??= outcome;
    }
    return first ?? { kind: "forbidden" };
  }

  private dialAt(address: string, port: number): Promise<TunnelOutcome> {
    return new Promise((resolve) => {
      try {
        this.client.forwardOut(LOOPBACK, 0, address, port, (error: (Error & { reason?: unknown }) | undefined, stream) => {
          if (!error) {
            // ssh2 tells an end by `close` alone; an error that nobody hears would end this process.
            stream.on("error", () => undefined);
            resolve({ kind: "open", stream });
          } else if (error.reason === ADMINISTRATIVELY_PROHIBITED) resolve({ kind: "forbidden" });
          else resolve(this.refused(port, error));
        });
      } catch (error) {
        resolve(this.refused(port, error)); // ssh2 throws when the socket is already ending
      }
    });
  }

  private refused(port: number, cause: unknown): TunnelOutcome {
    const what = `port ${String(port)} of the host cannot be reached. Does the service run there?`;
    return { kind: "refused", failure: fail(this.target, "ERR_CONNECTION", what, {}, cause) };
  }
}
