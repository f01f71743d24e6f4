/** A tree as a stream of bytes: a record for each entry, the content of a file right behind its record. */
import { MAX_TREE_PATH, WireError } from "../../wire";
import { EMPTY, type EntryKind, type TreeEntry } from "./entry";

const LETTERS: Readonly<Record<EntryKind, string>> = {
  dir: "d",
  file: "f",
  link: "l",
  apart: "p",
  sum: "s",
  touch: "t",
  gone: "x",
};
const KINDS = new Map(Object.entries(LETTERS).map(([kind, letter]) => [letter.charCodeAt(0), kind as EntryKind]));

/** Kind, mode, time, size, length of the path, length of what belongs to the kind. */
const HEAD = 1 + 2 + 8 + 8 + 2 + 2;

export function recordSize(entry: TreeEntry): number {
  return HEAD + entry.path.length + entry.extra.length;
}

/** Writes a record and gives the position behind it. */
export function writeRecord(entry: TreeEntry, buffer: Buffer, at: number): number {
  if (entry.path.length > MAX_TREE_PATH || entry.extra.length > MAX_TREE_PATH) {
    throw new WireError(`a path of ${String(entry.path.length)} bytes`);
  }
  buffer[at] = LETTERS[entry.kind].charCodeAt(0);
  buffer.writeUInt16BE(entry.mode, at + 1);
  buffer.writeBigInt64BE(entry.mtime, at + 3);
  buffer.writeBigUInt64BE(BigInt(entry.size), at + 11);
  buffer.writeUInt16BE(entry.path.length, at + 19);
  buffer.writeUInt16BE(entry.extra.length, at + 21);
  entry.path.copy(buffer, at + HEAD);
  entry.extra.copy(buffer, at + HEAD + entry.path.length);
  return at + recordSize(entry);
}

/** Cuts pieces, which may end anywhere, into records and content. */
export class RecordDecoder {
  /** The beginning of a record whose end has not come. */
  private rest: Buffer = EMPTY;
  private left = 0;

  /** Throws WireError for a record of a wrong form; whether it may stand there is `TreeCheck`'s to say. */
  *push(piece: Buffer): Generator<TreeEntry | Buffer, void, undefined> {
    const data = this.rest.length === 0 ? piece : Buffer.concat([this.rest, piece]);
    this.rest = EMPTY;
    let at = 0;
    while (at < data.length) {
      if (this.left > 0) {
        const content = data.subarray(at, at + this.left);
        this.left -= content.length;
        at += content.length;
        yield content;
        continue;
      }
      const entry = readRecord(data, at);
      if (entry === null) break;
      if (entry.kind === "file") this.left = entry.size;
      at += recordSize(entry);
      yield entry;
    }
    // A copy: what it was cut from is no longer needed.
    if (at < data.length) this.rest = Buffer.from(data.subarray(at));
  }

  /** Nothing is missing. */
  get whole(): boolean {
    return this.left === 0 && this.rest.length === 0;
  }
}

/** Null where it has not come as a whole. */
function readRecord(data: Buffer, at: number): TreeEntry | null {
  if (data.length - at < HEAD) return null;
  const names = at + HEAD;
  const sizes = [data.readUInt16BE(at + 19), data.readUInt16BE(at + 21)] as const;
  if (Math.max(...sizes) > MAX_TREE_PATH) throw new WireError(`a path of ${String(Math.max(...sizes))} bytes`);
  const extra = names + sizes[0];
  const end = extra + sizes[1];
  const letter = data[at] ?? 0;
  const kind = KINDS.get(letter);
  if (kind === undefined) throw new WireError(`an entry of kind ${String(letter)}`);
  if (end > data.length) return null;
  const size = Number(data.readBigUInt64BE(at + 11));
  if (!Number.isSafeInteger(size)) throw new WireError(`a size of ${String(size)} bytes`);
  return {
    kind,
    mode: data.readUInt16BE(at + 1) & 0o777,
    mtime: data.readBigInt64BE(at + 3),
    size: kind === "file" || kind === "apart" ? size : 0,
    // Copies: a path is kept long after the piece that it came in.
    path: Buffer.from(data.subarray(names, extra)),
    extra: extra === end ? EMPTY : Buffer.from(data.subarray(extra, end)),
  };
}
