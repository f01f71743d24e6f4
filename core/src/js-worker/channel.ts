/** The socket to the agent, which the worker inherits: what it reads, and what it answers. Blocking, for nothing else is to be done. */
import { readSync, writevSync } from "fs";
import { CHUNK, type CutDocument, DocumentCutter, Header, WireError, decode, encodeFrameHead } from "../wire";
import type { Encodable } from "../wire";

/** Constant: the agent starts us with it. */
const CHANNEL = 3;
/** [bytes] that are read at once. */
const PIECE = 1024 * 1024;
const EMPTY = Buffer.alloc(0);

/** `u32 length | map`, then the document up to the end of the input. */
export function readRequest(): Header {
  const fields = decode(readExactly(readExactly(4).readUInt32BE()));
  if (!(fields instanceof Map)) throw new WireError("a request that is no map");
  return new Header(fields);
}

export function readDocument(): CutDocument {
  const cutter = new DocumentCutter();
  for (;;) {
    const piece = Buffer.allocUnsafeSlow(PIECE);
    const size = readSync(CHANNEL, piece, 0, PIECE, null);
    if (size === 0) return cutter.finish();
    cutter.push(piece.subarray(0, size));
  }
}

export function tell(
  op: string,
  fields: { readonly [field: string]: Encodable } = {},
  payload: Uint8Array = EMPTY,
): void {
  let pending: readonly Uint8Array[] = [encodeFrameHead({ op, ...fields }, payload.byteLength), payload];
  while (pending.length > 0) {
    let written = writevSync(CHANNEL, pending);
    const left: Uint8Array[] = [];
    for (const piece of pending) {
      if (written < piece.byteLength) left.push(piece.subarray(written));
      written = Math.max(written - piece.byteLength, 0);
    }
    pending = left;
  }
}

export function tellResult(pieces: readonly Uint8Array[]): void {
  for (const piece of pieces) {
    for (let start = 0; start < piece.byteLength; start += CHUNK)
      tell("result", {}, piece.subarray(start, start + CHUNK));
  }
}

function readExactly(count: number): Buffer {
  const bytes = Buffer.alloc(count);
  for (let filled = 0; filled < count;) {
    const size = readSync(CHANNEL, bytes, filled, count - filled, null);
    if (size === 0) throw new WireError("a request that is cut off");
    filled += size;
  }
  return bytes;
}
