/** The container of values: `u32 tree length | tree | buffer 0 | buffer 1 | …`, where the tree is `[lengths, value]`. */
import { MAX_SPECIALS, MAX_TREE, WireError } from "./limits";

/** A document cut into its tree and its buffers, each with exactly its own memory. */
export interface CutDocument {
  readonly tree: Uint8Array;
  readonly buffers: readonly ArrayBuffer[];
}

/** The same, as it changes threads: to hand over a hundred thousand buffers one by one would take minutes. */
export interface PackedDocument {
  readonly tree: Uint8Array;
  /** All buffers below `LARGE` bytes, one after the other. */
  readonly small: ArrayBuffer;
  /** The others. */
  readonly large: readonly ArrayBuffer[];
}

/** [bytes] from which on memory is handed over, or kept, by itself: a copy costs more. */
const LARGE = 64 * 1024;

const EMPTY = new ArrayBuffer(0);

/**
 * Cuts a document that comes in pieces. A part is allocated, and copied once, when all of it is there; so nothing is
 * allocated that was only announced. After a WireError it is of no use.
 */
export class DocumentCutter {
  private pieces: Uint8Array[] = [];
  private buffered = 0;
  private treeSize: number | null = null;
  private tree: Uint8Array | null = null;
  private lengths: readonly number[] = [];
  /** Of the lengths, how many are there. */
  private parts = 0;
  private small = new Uint8Array(0);
  private smallSize = 0;
  private readonly large: ArrayBuffer[] = [];

  /** The piece must stay as it is until the part that it belongs to is whole. Throws WireError for what is no document. */
  push(piece: Uint8Array): void {
    if (piece.byteLength > 0) {
      this.pieces.push(piece);
      this.buffered += piece.byteLength;
    }
    for (let wanted = this.wanted(); wanted !== null && wanted <= this.buffered; wanted = this.wanted()) {
      this.accept(wanted);
    }
    if (this.wanted() === null && this.buffered > 0) throw new WireError("bytes behind the last buffer");
  }

  /** Throws WireError for a document that is not whole. */
  finish(): CutDocument {
    return unpackDocument(this.finishPacked());
  }

  /** Throws WireError for a document that is not whole. */
  finishPacked(): PackedDocument {
    if (this.tree === null || this.wanted() !== null) throw new WireError("a value document that is cut off");
    return { tree: this.tree, small: this.small.buffer.slice(0, this.smallSize), large: this.large };
  }

  /** [bytes] of the part that comes next; null: there is none. */
  private wanted(): number | null {
    if (this.treeSize === null) return 4;
    if (this.tree === null) return this.treeSize;
    return this.lengths[this.parts] ?? null;
  }

  private accept(size: number): void {
    if (this.treeSize === null) {
      this.treeSize = new DataView(this.take(new Uint8Array(size)).buffer).getUint32(0);
      if (this.treeSize > MAX_TREE) throw new WireError(`a tree of ${String(this.treeSize)} bytes`);
      return;
    }
    if (this.tree === null) {
      const tree = this.take(new Uint8Array(size));
      this.lengths = documentLengths(tree);
      this.tree = tree;
      return;
    }
    if (size >= LARGE) this.large.push(this.take(new Uint8Array(size)).buffer);
    else if (size > 0) {
      this.take(this.room(size));
      this.smallSize += size;
    }
    this.parts += 1;
  }

  /** For one more of the small ones. */
  private room(size: number): Uint8Array {
    if (this.smallSize + size > this.small.byteLength) {
      const more = new Uint8Array(2 * this.small.byteLength + size);
      more.set(this.small);
      this.small = more;
    }
    return this.small.subarray(this.smallSize, this.smallSize + size);
  }

  /** Fills it with what comes next. */
  private take<B extends ArrayBufferLike>(whole: Uint8Array<B>): Uint8Array<B> {
    const count = whole.byteLength;
    let filled = 0;
    let used = 0;
    while (filled < count) {
      const piece = this.pieces[used];
      if (piece === undefined) throw new WireError("cut off");
      const left = count - filled;
      if (piece.byteLength > left) {
        whole.set(piece.subarray(0, left), filled);
        this.pieces[used] = piece.subarray(left);
        break;
      }
      whole.set(piece, filled);
      filled += piece.byteLength;
      used += 1;
    }
    if (used > 0) this.pieces.splice(0, used);
    this.buffered -= count;
    return whole;
  }
}

/** Throws WireError. */
export function unpackDocument({ tree, small, large }: PackedDocument): CutDocument {
  let [at, next] = [0, 0];
  const buffers = documentLengths(tree).map((length) => {
    if (length >= LARGE) return large[next++] ?? EMPTY;
    if (length === 0) return EMPTY;
    const start = at;
    at += length;
    return small.slice(start, at);
  });
  return { tree, buffers };
}

/** The byte lengths of the buffers that follow this tree. Throws WireError. */
export function documentLengths(tree: Uint8Array): number[] {
  const bytes = Buffer.from(tree.buffer, tree.byteOffset, tree.byteLength);
  let at = 0;
  const unsigned = (size: number): number => {
    if (size > bytes.length - at) throw new WireError("cut off");
    const value = size === 8 ? Number(bytes.readBigUInt64BE(at)) : bytes.readUIntBE(at, size);
    at += size;
    return value;
  };
  if (unsigned(1) !== 0x92) throw new WireError("no pair of lengths and value");
  const head = unsigned(1);
  const count =
    (head & 0xf0) === 0x90 ? head & 0x0f : head === 0xdc ? unsigned(2) : head === 0xdd ? unsigned(4) : Number.NaN;
  if (Number.isNaN(count)) throw new WireError("no list of lengths");
  if (count > MAX_SPECIALS || count > bytes.length - at) throw new WireError(`${String(count)} buffers`);
  let total = 0;
  return Array.from({ length: count }, () => {
    const code = unsigned(1);
    // Unsigned integers, and the signed ones of 64 bits that are not negative.
    const size = code < 0x80 ? 0 : code >= 0xcc && code <= 0xcf ? 1 << (code - 0xcc) : code === 0xd3 ? 8 : -1;
    if (size < 0) throw new WireError("a length that is no size");
    const length = size === 0 ? code : unsigned(size);
    total += length;
    if (!Number.isSafeInteger(total)) throw new WireError("lengths beyond all memory");
    return length;
  });
}
