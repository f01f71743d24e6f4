import { EngineFailure } from "../../engine/protocol";
import {
  type Encodable,
  FRAME_COST,
  type Frame,
  INITIAL_CREDIT,
  MAX_PAYLOAD,
  WireError,
  encodeFrameHead,
} from "../../wire";
import type { Outbox } from "./outbox";

/** [ms] for which the end of a cancelled operation is awaited; the agent needs three seconds at most. */
const CANCEL_MS = 6000;

/** Who listens to an operation. After `ended` nothing more comes. */
export interface OperationListener {
  /** Any message but the last. `data` must be granted when their bytes are gone. */
  message(frame: Frame): void;
  /** The last message (`exit`, `done`, `end`, `error`), the loss of the host, or a cancel that was never answered. */
  ended(outcome: Frame | EngineFailure): void;
}

/** One of the many operations over an agent's channel, with its credit in both directions. */
export class Operation {
  private credit = INITIAL_CREDIT;
  /** Credit that came back. */
  private returned = 0;
  /** What the agent may still send. */
  private window = INITIAL_CREDIT;
  /** Credit that was freed but not told yet: told in large pieces. */
  private freed = 0;
  private waiting: (() => void)[] = [];
  private over = false;
  private givingUp: NodeJS.Timeout | undefined;

  constructor(
    readonly id: number,
    private readonly host: string,
    private readonly outbox: Outbox,
    private readonly listener: OperationListener,
  ) {}

  get ended(): boolean {
    return this.over;
  }

  /** Cost of what was sent. */
  get sent(): number {
    return this.returned + INITIAL_CREDIT - this.credit;
  }

  /** Cost of what was sent and the agent has no more. */
  get arrived(): number {
    return this.returned;
  }

  /** A message without flow control. */
  post(op: string, fields: { readonly [field: string]: Encodable } = {}): void {
    if (!this.over) this.outbox.post(encodeFrameHead({ op, id: this.id, ...fields }));
  }

  /** A message that costs credit; resolves when it was handed on, false when the operation ended before. */
  async send(op: string, fields: { readonly [field: string]: Encodable }, payload?: Buffer): Promise<boolean> {
    while (!this.over && (this.credit <= 0 || this.outbox.full)) {
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve);
        if (this.outbox.full) this.outbox.onDrained(resolve);
      });
    }
    if (this.over) return false;
    const size = payload?.length ?? 0;
    this.credit -= FRAME_COST + size;
    const head = encodeFrameHead({ op, id: this.id, ...fields }, size);
    if (payload) this.outbox.post(head, payload);
    else this.outbox.post(head);
    return true;
  }

  /** Tells the agent that these bytes of one frame are gone, so that it may send more. */
  grant(payloadLength: number): void {
    this.freed += FRAME_COST + payloadLength;
    if (this.freed < INITIAL_CREDIT / 4) return;
    this.post("credit", { n: this.freed });
    this.window += this.freed;
    this.freed = 0;
  }

  /** It ends soon, also when the agent does not say so. */
  cancel(): void {
    if (this.over || this.givingUp) return;
    this.post("cancel");
    this.givingUp = setTimeout(() => {
      const message = `${this.host}: cancelled; the host did not confirm it within ${String(CANCEL_MS)} ms`;
      this.end(new EngineFailure({ code: "ERR_CANCELLED", host: this.host, message }));
    }, CANCEL_MS);
  }

  /** @internal A frame of this operation arrived. */
  receive(frame: Frame): void {
    switch (frame.header.op) {
      case "credit": {
        const units = frame.header.integer("n", 1);
        this.credit += units;
        this.returned += units;
        if (this.credit > 0) this.wake();
        break;
      }
      case "exit":
      case "done":
      case "end":
      case "error":
        this.end(frame);
        break;
      case "data":
        this.window -= FRAME_COST + frame.size;
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
    // Before anything else: a last message of a wrong form throws here, and then the loss of the host is the end.
    this.listener.ended(outcome);
    this.over = true;
    clearTimeout(this.givingUp);
    this.wake();
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
