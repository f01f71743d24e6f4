import { Header } from "./header";
import { MAX_HEADER, MAX_PAYLOAD, WireError } from "./limits";
import { type Encodable, decode, encode } from "./msgpack";

const PREFIX = 8;
const EMPTY = Buffer.alloc(0);

/** A received frame. The payload is a view of what the transport gave; copy it to keep it. */
export interface Frame {
  readonly header: Header;
  readonly payload: Buffer;
}

/** The bytes of a frame but its payload, which follows unchanged. Throws WireError for what exceeds the limits. */
export function encodeFrameHead(
  header: { readonly op: string; readonly [field: string]: Encodable },
  payloadLength = 0,
): Buffer {
  const body = encode(header);
  if (body.length > MAX_HEADER) {
    throw new WireError(`a message of ${String(body.length)} bytes; at most ${String(MAX_HEADER)} can be sent`);
  }
  if (payloadLength > MAX_PAYLOAD) {
    throw new WireError(`a payload of ${String(payloadLength)} bytes; at most ${String(MAX_PAYLOAD)} can be sent`);
  }
  const head = Buffer.allocUnsafe(PREFIX + body.length);
  head.writeUInt32BE(body.length, 0);
  head.writeUInt32BE(payloadLength, 4);
  body.copy(head, PREFIX);
  return head;
}

/**
 * Cuts a byte stream into frames. Pieces wait in a list until a frame is whole, and are joined once; so no announced
 * length is allocated before its bytes are there.
 */
export class FrameDecoder {
  private pieces: Buffer[] = [];
  private buffered = 0;
  /** Lengths of the frame being read, null before its prefix is there. */
  private lengths: { header: number; payload: number } | null = null;

  /** The frames that end within this piece. Throws WireError, after which the stream is of no use. */
  *push(piece: Buffer): Generator<Frame, void, undefined> {
    if (piece.length > 0) {
      this.pieces.push(piece);
      this.buffered += piece.length;
    }
    for (;;) {
      if (this.lengths === null) {
        if (this.buffered < PREFIX) return;
        const prefix = this.take(PREFIX);
        const lengths = { header: prefix.readUInt32BE(0), payload: prefix.readUInt32BE(4) };
        if (lengths.header === 0 || lengths.header > MAX_HEADER || lengths.payload > MAX_PAYLOAD) {
          throw new WireError(`a frame of ${String(lengths.header)} + ${String(lengths.payload)} bytes`);
        }
        this.lengths = lengths;
      }
      const { header, payload } = this.lengths;
      if (this.buffered < header + payload) return;
      this.lengths = null;
      const fields = decode(this.take(header));
      if (!(fields instanceof Map)) throw new WireError("a header that is no map");
      yield { header: new Header(fields), payload: payload === 0 ? EMPTY : this.take(payload) };
    }
  }

  /** Bytes that wait for the rest of their frame. */
  get pending(): number {
    return this.buffered;
  }

  private take(count: number): Buffer {
    this.buffered -= count;
    const first = this.pieces[0];
    if (first !== undefined && first.length >= count) {
      if (first.length === count) this.pieces.shift();
      else this.pieces[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    const whole = Buffer.allocUnsafe(count);
    let filled = 0;
    let used = 0;
    while (filled < count) {
      const piece = this.pieces[used];
      if (piece === undefined) throw new WireError("cut off");
      const part = Math.min(piece.length, count - filled);
      piece.copy(whole, filled, 0, part);
      filled += part;
      if (part < piece.length) this.pieces[used] = piece.subarray(part);
      else used += 1;
    }
    this.pieces.splice(0, used);
    return whole;
  }
}
