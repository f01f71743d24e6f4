/** What the kernel's two threads tell each other. */
import type { Header, Outgoing, Position, Request, StreamName } from "lazycluster/notebook/wire";
import type { ConnectionInfo } from "./connection-file";

/** Where the backlog says that the sockets are closed. */
export const CLOSED = 1;

export interface WireData {
  readonly connection: ConnectionInfo;
  /** Of the main thread's ThreadState. */
  readonly state: SharedArrayBuffer;
  /** The content of kernel_info_reply. */
  readonly info: Readonly<Record<string, unknown>>;
  /** [bytes] that were handed over and have not left yet; and in `CLOSED`, 1 when the sockets are closed. */
  readonly backlog: SharedArrayBuffer;
  /** Of the TextRing with what cells print. */
  readonly printed: SharedArrayBuffer;
}

export type FromWire =
  | { readonly type: "bound" }
  | { readonly type: "failed"; readonly message: string }
  | { readonly type: "request"; readonly request: Request }
  | { readonly type: "interrupt" }
  | { readonly type: "stopped" }
  | { readonly type: "closed" };

/** `at`: what was printed up to there comes before. */
export type ToWire =
  | {
      readonly type: "send";
      readonly messages: readonly Outgoing<string>[];
      readonly size: number;
      readonly at: Position;
    }
  /** What is printed from there on. */
  | { readonly type: "stream"; readonly name: StreamName; readonly parent: Header | null; readonly at: Position }
  /** There is printed text to send: soon, or at once. */
  | { readonly type: "printed"; readonly atOnce: boolean }
  | { readonly type: "close" };
