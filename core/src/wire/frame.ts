import { Header } from "./header";
import { MAX_HEADER, MAX_PAYLOAD, WireError } from "./limits";
import { type Encodable, decode, encode } from "./msgpack";

const PREFIX = 8;
const EMPTY = Buffer.alloc(0);

/** A received frame. */
export class Frame {
  constructor(
    readonly header: Header,
    /** The payload as the transport gave it, uncopied: views of its buffers. */
    readonly pieces: readonly Buffer[],
    readonly size: number,
  ) {}

  /** The payload as a whole, joined at each access where it came in pieces. Copy it to keep it. */
  get payload(): Buffer {
    const [first = EMPTY] = this.pieces;
    return this.pieces.length <= 1 ? first : Buffer.concat(this.pieces, this.size);
  }
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
 * Cuts a byte stream into frames. Pieces wait in a list until a frame is whole; so no announced length is allocated
 * before its bytes are there, and payloads are not copied at all.
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
        const prefix = join(this.take(PREFIX), PREFIX);
        const lengths = { header: prefix.readUInt32BE(0), payload: prefix.readUInt32BE(4) };
        if (lengths.header === 0 || lengths.header > MAX_HEADER || lengths.payload > MAX_PAYLOAD) {
          throw new WireError(`a frame of ${String(lengths.header)} + ${String(lengths.payload)} bytes`);
        }
        this.lengths = lengths;
      }
      const { header, payload } = this.lengths;
      if (this.buffered < header + payload) return;
      this.lengths = null;
      const fields = decode(join(this.take(header), header));
      if (!(fields instanceof Map)) throw new WireError("a header that is no map");
      yield new Frame(new Header(fields), this.take(payload), payload);
    }
  }

  /** Bytes that wait for the rest of their frame. */
  get pending(): number {
    return this.buffered;
  }

  /** The next bytes, which must be there, as views of the pieces that they came in. */
  private take(count: number): Buffer[] {
    this.buffered -= count;
    const taken: Buffer[] = [];
    let left = count;
    let used = 0;
    while (left > 0) {
      const piece = this.pieces[used];
      if (piece === undefined) throw new WireError("cut off");
      if (piece.length > left) {
        taken.push(piece.subarray(0, left));
        this.pieces[used] = piece.subarray(left);
        break;
      }
      taken.push(piece);
      left -= piece.length;
      used += 1;
    }
    if (used > 0) this.pieces.splice(0, used);
    return taken;
  }
}

function join(pieces: readonly Buffer[], size: number): Buffer {
  const [first] = pieces;
  return first && pieces.length === 1 ? first : Buffer.concat(pieces, size);
}
