/** What the kernel's two threads tell each other. */
import type { Outgoing, Request } from "lazycluster/notebook/wire";
import type { ConnectionInfo } from "./connection-file";

export interface WireData {
  readonly connection: ConnectionInfo;
  /** Of the main thread's ThreadState. */
  readonly state: SharedArrayBuffer;
  /** The content of kernel_info_reply. */
  readonly info: Readonly<Record<string, unknown>>;
  /** [bytes] that were handed over and have not left yet. */
  readonly backlog: SharedArrayBuffer;
}

export type FromWire =
  | { readonly type: "bound" }
  | { readonly type: "failed"; readonly message: string }
  | { readonly type: "request"; readonly request: Request }
  | { readonly type: "interrupt" }
  | { readonly type: "stopped" }
  | { readonly type: "closed" };

export type ToWire =
  { readonly type: "send"; readonly message: Outgoing; readonly size: number } | { readonly type: "close" };
