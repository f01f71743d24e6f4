import type { EngineFailure } from "../engine/protocol";
import {
  CHUNK,
  type Encodable,
  FRAME_COST,
  type Frame,
  INITIAL_CREDIT,
  MAX_PAYLOAD,
  WireError,
  encodeFrameHead,
} from "../wire";
import type { Outbox } from "./outbox";

/** Who listens to an operation. After `ended` nothing more comes. */
export interface OperationListener {
  /** Any message but the last. `data` and `entry` must be granted when their bytes are gone. */
  message(frame: Frame): void;
  /** The last message (`exit`, `done`, `end`, `error`), or the loss of the host. */
  ended(outcome: Frame | EngineFailure): void;
}

/** One of the many operations over an agent's channel, with its credit in both directions. */
export class Operation {
  private credit = INITIAL_CREDIT;
  /** What the agent may still send. */
  private window = INITIAL_CREDIT;
  /** Credit that was freed but not told yet: told in large pieces. */
  private freed = 0;
  private waiting: (() => void)[] = [];
  private over = false;

  constructor(
    readonly id: number,
    private readonly outbox: Outbox,
    private readonly listener: OperationListener,
  ) {}

  get ended(): boolean {
    return this.over;
  }

  /** A message without flow control. */
  post(op: string, fields: { readonly [field: string]: Encodable } = {}): void {
    if (!this.over) this.outbox.post(encodeFrameHead({ op, id: this.id, ...fields }));
  }

  /** A message that costs credit; resolves when it was handed on, false when the operation ended before. */
  async send(op: string, fields: { readonly [field: string]: Encodable }, payload?: Buffer): Promise<boolean> {
    while (this.credit <= 0 && !this.over) await new Promise<void>((resolve) => this.waiting.push(resolve));
    await this.outbox.drained();
    if (this.over) return false;
    const size = payload?.length ?? 0;
    this.credit -= FRAME_COST + size;
    const head = encodeFrameHead({ op, id: this.id, ...fields }, size);
    if (payload) this.outbox.post(head, payload);
    else this.outbox.post(head);
    return true;
  }

  /** All of `bytes` as `data` frames, the last one with `eof`. */
  async sendAll(bytes: Uint8Array): Promise<void> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let offset = 0;
    for (;;) {
      const end = Math.min(buffer.length, offset + CHUNK);
      const last = end === buffer.length;
      if (!(await this.send("data", last ? { s: 0, eof: true } : { s: 0 }, buffer.subarray(offset, end)))) return;
      if (last) return;
      offset = end;
    }
  }

  /** Tells the agent that these bytes of one frame are gone, so that it may send more. */
  grant(payloadLength: number): void {
    this.freed += FRAME_COST + payloadLength;
    if (this.freed < INITIAL_CREDIT / 4) return;
    this.post("credit", { n: this.freed });
    this.window += this.freed;
    this.freed = 0;
  }

  cancel(): void {
    this.post("cancel");
  }

  /** @internal A frame of this operation arrived. */
  receive(frame: Frame): void {
    switch (frame.header.op) {
      case "credit":
        this.credit += frame.header.integer("n", 1);
        if (this.credit > 0) this.wake();
        break;
      case "exit":
      case "done":
      case "end":
      case "error":
        this.end(frame);
        break;
      case "data":
      case "entry":
        this.window -= FRAME_COST + frame.payload.length;
        // Freed credit that was not told yet counts too: the agent may have been one frame over.
        if (this.window < -(FRAME_COST + MAX_PAYLOAD)) throw new WireError("more data than there was credit for");
        this.listener.message(frame);
        break;
      default:
        this.listener.message(frame);
    }
  }

  /** @internal */
  end(outcome: Frame | EngineFailure): void {
    if (this.over) return;
    this.over = true;
    this.wake();
    this.listener.ended(outcome);
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
