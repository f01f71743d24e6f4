/** Jupyter's messages (protocol 5.4), and what the kernel needs of whatever carries them. */

export const PROTOCOL_VERSION = "5.4";

export interface Header {
  readonly msg_id: string;
  readonly session: string;
  readonly username: string;
  readonly date: string;
  readonly msg_type: string;
  readonly version: string;
}

export type Channel = "shell" | "control" | "stdin";
export type Content = Readonly<Record<string, unknown>>;

/** A message from a client. */
export interface Request {
  readonly channel: Channel;
  /** Where the answer goes: the routing frames of its socket. */
  readonly identities: readonly Uint8Array[];
  readonly header: Header;
  /** What it answers; of most requests empty. */
  readonly parent: Partial<Header>;
  readonly metadata: Content;
  readonly content: Content;
  readonly buffers: readonly Uint8Array[];
}

/** A message to one client (an answer), or to all of them (`iopub`). Content that is a string is JSON already. */
export interface Outgoing<C = Content> {
  readonly channel: Channel | "iopub";
  /** Empty on iopub. */
  readonly identities: readonly Uint8Array[];
  readonly type: string;
  /** Of the message; default: one of its own. */
  readonly id?: string;
  readonly parent: Header | null;
  readonly content: C;
  readonly metadata?: Content;
  readonly buffers?: readonly Uint8Array[];
}

export type StreamName = "stdout" | "stderr";

/** Messages and text leave in the order of the calls, complete; nothing is dropped. */
export interface Transport {
  /** Those that are known together are sent together: it wakes whoever carries them once. */
  send(...messages: readonly Outgoing[]): void;
  /** What code prints; gathered into few messages. */
  print(name: StreamName, text: string, parent: Header | null): void;
}

export function streamMessage(name: StreamName, text: string, parent: Header | null): Outgoing {
  return { channel: "iopub", identities: [], type: "stream", parent, content: { name, text } };
}

/** What a client sent, by name; content is never trusted to have the shape that the protocol says. */
export function textOf(content: Content, name: string): string {
  const value = content[name];
  return typeof value === "string" ? value : "";
}

export function numberOf(content: Content, name: string): number | null {
  const value = content[name];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function flagOf(content: Content, name: string, otherwise: boolean): boolean {
  const value = content[name];
  return typeof value === "boolean" ? value : otherwise;
}
