/** A TCP connection of the host that its agent relays (docs/agent-protocol.md). */
import { Duplex } from "node:stream";
import { EngineFailure } from "../../engine/protocol";
import { CHUNK, type Encodable, type Frame, WireError } from "../../wire";
import type { AgentClient } from "../agent/client";
import { agentFailure } from "../agent/error";
import type { Operation } from "../agent/operation";

/** [bytes] that are held for whoever reads, besides the credit of the operation. */
const HIGH_WATER = 256 * 1024;

export class RelayStream extends Duplex {
  private readonly operation: Operation;
  /** [bytes] of frames that wait in our buffer; paid back when they are read. */
  private held: number[] = [];
  private ended = false;

  /** Resolves when the connection stands. Rejects EngineFailure. */
  static dial(agent: AgentClient, port: number): Promise<RelayStream> {
    return new Promise((resolve, reject) => {
      const stream: RelayStream = new RelayStream(agent, "dial", { port }, (failure) => {
        if (failure) reject(failure);
        else resolve(stream);
      });
    });
  }

  /** One that the agent told of. It stands already; one that is gone meanwhile breaks soon. */
  static accept(agent: AgentClient, listen: number, conn: number): RelayStream {
    return new RelayStream(agent, "accept", { listen, conn }, null);
  }

  private constructor(
    agent: AgentClient,
    op: "dial" | "accept",
    fields: { readonly [field: string]: Encodable },
    private report: ((failure: EngineFailure | null) => void) | null,
  ) {
    super({ allowHalfOpen: true, highWaterMark: HIGH_WATER });
    // Who reads it is told by `close`, too; without a listener an error would end this process.
    this.on("error", () => undefined);
    this.operation = agent.open(op, fields, {
      message: (frame) => this.receive(frame),
      ended: (outcome) => {
        if (outcome instanceof EngineFailure) this.over(outcome);
        else
          this.over(outcome.header.op === "done" ? null : agentFailure(agent.host, outcome.header, "ERR_CONNECTION"));
      },
    });
  }

  override _read(): void {
    for (const size of this.held.splice(0)) this.operation.grant(size);
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    void this.sendAll(bytes).then(() => done());
  }

  override _writev(pieces: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    const bytes = pieces.length === 1 && pieces[0] ? pieces[0].chunk : Buffer.concat(pieces.map(({ chunk }) => chunk));
    void this.sendAll(bytes).then(() => done());
  }

  override _final(done: (error?: Error | null) => void): void {
    void this.operation.send("data", { s: 0, eof: true }).then(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.operation.cancel();
    done(error);
  }

  private async sendAll(bytes: Buffer): Promise<void> {
    for (let offset = 0; offset < bytes.length; offset += CHUNK) {
      if (!(await this.operation.send("data", { s: 0 }, bytes.subarray(offset, offset + CHUNK)))) return;
    }
  }

  private receive({ header, pieces, size }: Frame): void {
    if (header.op === "connected") {
      this.stands();
      return;
    }
    if (header.op !== "data" || this.ended) throw new WireError(`an unexpected ${header.op}`);
    let more = true;
    for (const piece of pieces) more = this.push(piece);
    if (more || this.destroyed) this.operation.grant(size);
    else this.held.push(size);
    if (!header.flag("eof")) return;
    this.ended = true;
    this.push(null);
  }

  private stands(): void {
    this.report?.(null);
    this.report = null;
  }

  private over(failure: EngineFailure | null): void {
    if (this.report) {
      this.report(failure ?? new EngineFailure({ code: "ERR_CONNECTION", message: "the connection ended at once" }));
      this.report = null;
      this.destroy();
    } else if (failure) this.destroy(failure);
  }
}
