/** Messages as frames on a ZeroMQ socket: `identities | <IDS|MSG> | signature | header | parent | metadata | content | buffers`. */
import { createHmac, randomUUID, timingSafeEqual } from "crypto";
import { userInfo } from "os";
import { jsonOf } from "./json";
import { type Channel, type Content, type Header, type Outgoing, PROTOCOL_VERSION, type Request } from "./message";

const DELIMITER = Buffer.from("<IDS|MSG>");
/** Header, parent, metadata, content: what is signed. Buffers are not. */
const SIGNED_PARTS = 4;
const NOTHING = Buffer.from("{}");

/** A message that is none of this connection: badly signed, or no message at all. */
export class BadMessage extends Error {}

export class Codec {
  private readonly session = randomUUID();
  private readonly username = nameOfUser();
  /** The latest parent: what is sent together has the same one. */
  private parent: { readonly header: Header; readonly bytes: Buffer } | null = null;

  /** @param key of the connection file; empty: messages are not signed. */
  constructor(private readonly key: string) {}

  /** Throws BadMessage. */
  decode(channel: Channel, frames: readonly Buffer[]): Request {
    const delimiter = frames.findIndex((frame) => frame.equals(DELIMITER));
    const parts = frames.slice(delimiter + 2);
    if (delimiter < 0 || parts.length < SIGNED_PARTS) throw new BadMessage("a message without its parts");
    const signature = Buffer.from(this.sign(parts.slice(0, SIGNED_PARTS)));
    const given = frames[delimiter + 1] ?? Buffer.alloc(0);
    if (given.length !== signature.length || !timingSafeEqual(given, signature)) {
      throw new BadMessage("a message with a wrong signature");
    }
    const [header, parent, metadata, content] = parts.slice(0, SIGNED_PARTS).map(parse);
    return {
      channel,
      identities: frames.slice(0, delimiter),
      header: header as Partial<Header> as Header,
      parent: (parent as Partial<Header> | undefined) ?? {},
      metadata: metadata ?? {},
      content: content ?? {},
      buffers: parts.slice(SIGNED_PARTS),
    };
  }

  encode(message: Outgoing<Content | string>): Uint8Array[] {
    const header: Header = {
      msg_id: message.id ?? randomUUID(),
      session: this.session,
      username: this.username,
      date: new Date().toISOString(),
      msg_type: message.type,
      version: PROTOCOL_VERSION,
    };
    const parts = [
      bytesOf(header),
      this.bytesOfParent(message.parent),
      message.metadata ? bytesOf(message.metadata) : NOTHING,
      bytesOf(message.content),
    ];
    // On iopub the first frame is the topic that clients may subscribe to.
    const front = message.channel === "iopub" ? [Buffer.from(message.type)] : message.identities;
    return [...front, DELIMITER, Buffer.from(this.sign(parts)), ...parts, ...(message.buffers ?? [])];
  }

  private bytesOfParent(header: Header | null): Buffer {
    if (!header) return NOTHING;
    if (this.parent?.header !== header) this.parent = { header, bytes: bytesOf(header) };
    return this.parent.bytes;
  }

  private sign(parts: readonly Uint8Array[]): string {
    if (this.key === "") return "";
    const hash = createHmac("sha256", this.key);
    for (const part of parts) hash.update(part);
    return hash.digest("hex");
  }
}

function bytesOf(part: object | string): Buffer {
  return Buffer.from(typeof part === "string" ? part : jsonOf(part));
}

function parse(part: Buffer): Content {
  try {
    const value: unknown = JSON.parse(part.toString("utf8"));
    if (typeof value === "object" && value !== null) return value as Content;
  } catch {
    // Said below.
  }
  throw new BadMessage("a message that is no JSON");
}

function nameOfUser(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a number that has no name.
    return "kernel";
  }
}
