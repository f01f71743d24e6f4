/** Port forwarding by the host's own sshd. */
import type { AcceptConnection, Client, ClientChannel, RejectConnection, TcpConnectionDetails } from "ssh2";
import { fail, type Target } from "../shared/connection-errors";
import type { Incoming, PortListener } from "../shared/ports";
import type { TunnelOutcome, Tunnels } from "../shared/transport";
import { within } from "../shared/within";

/** Of RFC 4254, 5.1. */
const ADMINISTRATIVELY_PROHIBITED = 1;
/** [ms] for which the end of a port is awaited; a host that is silent ends it when it ends the connection. */
const CLOSE_MS = 5_000;
const LOOPBACK = "127.0.0.1";
/** A service may listen on one of them only. */
const PLACES = [LOOPBACK, "::1"];

export class Ssh2Tunnels implements Tunnels {
  private readonly listening = new Map<number, (connection: Incoming) => void>();
  /** What ends the wait for each answer that has not come. */
  private readonly unanswered = new Set<() => void>();
  private over = false;

  constructor(
    private readonly client: Client,
    private readonly target: Target,
    /** Whether the ssh connection is gone. */
    private readonly gone: () => boolean,
  ) {
    client.once("close", () => {
      this.over = true;
      for (const end of this.unanswered) end();
    });
    client.on("tcp connection", (details, accept, reject) => this.arrived(details, accept, reject));
  }

  async dial(port: number): Promise<TunnelOutcome> {
    let first: TunnelOutcome | null = null;
    for (const place of PLACES) {
      const outcome = await this.dialAt(place, port);
      if (outcome.kind !== "refused") return outcome;
      first ??= outcome;
    }
    return first ?? { kind: "forbidden" };
  }

  async listen(port: number, incoming: (connection: Incoming) => void): Promise<PortListener | null> {
    const bound = await this.answered<number | null>(null, (answer) =>
      this.client.forwardIn(LOOPBACK, port, (error: Error | undefined, real) => answer(error ? null : real)),
    );
    if (bound === null) return null;
    this.listening.set(bound, incoming);
    return {
      port: bound,
      by: "sshd",
      close: () => this.unlisten(bound),
    };
  }

  /** When the connection is over, its ports are, too. */
  private async unlisten(port: number): Promise<void> {
    this.listening.delete(port);
    const ended = this.answered(null, (answer) => this.client.unforwardIn(LOOPBACK, port, () => answer(null)));
    await within(CLOSE_MS, ended, () => null);
  }

  /** A request that is not answered before the connection is over never is: that counts as `otherwise`. */
  private answered<T>(otherwise: T, ask: (answer: (value: T) => void) => void): Promise<T> {
    return new Promise((resolve) => {
      const answer = (value: T): void => {
        this.unanswered.delete(end);
        resolve(value);
      };
      const end = (): void => answer(otherwise);
      this.unanswered.add(end);
      try {
        if (this.over) end();
        else ask(answer);
      } catch {
        end(); // ssh2 throws when the socket is already ending
      }
    });
  }

  private arrived(
    { destPort }: TcpConnectionDetails,
    accept: AcceptConnection<ClientChannel>,
    reject: RejectConnection,
  ): void {
    const incoming = this.listening.get(destPort);
    if (!incoming) reject();
    else {
      incoming({
        accept: () => this.honest(accept()),
        refuse: () => reject(),
      });
    }
  }

  private dialAt(address: string, port: number): Promise<TunnelOutcome> {
    return new Promise((resolve) => {
      try {
        this.client.forwardOut(
          LOOPBACK,
          0,
          address,
          port,
          (error: (Error & { reason?: unknown }) | undefined, stream) => {
            if (!error) {
              resolve({ kind: "open", stream: this.honest(stream) });
            } else if (error.reason === ADMINISTRATIVELY_PROHIBITED) resolve({ kind: "forbidden" });
            else resolve(this.refused(port, error));
          },
        );
      } catch (error) {
        resolve(this.refused(port, error)); // ssh2 throws when the socket is already ending
      }
    });
  }

  /** ssh2 lets the channels of a lost connection end as if all had come. */
  private honest(stream: ClientChannel): ClientChannel {
    // An error that nobody hears would end this process.
    stream.on("error", () => undefined);
    stream.prependListener("end", () => {
      if (this.gone()) stream.emit("error", new Error("the connection is lost"));
    });
    return stream;
  }

  private refused(port: number, cause: unknown): TunnelOutcome {
    const what = `port ${String(port)} of the host cannot be reached. Does the service run there?`;
    return { kind: "refused", failure: fail(this.target, "ERR_CONNECTION", what, {}, cause) };
  }
}
