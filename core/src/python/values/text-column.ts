/** Columns of texts as Arrow has them: offsets, UTF-8 bytes, and a bitmap of what is there (null: all). */
import { isAscii, isUtf8 } from "buffer";
import { WireError } from "../../wire";

export interface TextColumn {
  /** int64, little endian, one more than there are rows; the first is 0. */
  readonly offsets: Uint8Array;
  readonly bytes: Uint8Array;
  /** One bit per row, the lowest first. */
  readonly validity: Uint8Array | null;
}

/** Bytes up to which a column is read as one text. */
const ONE_TEXT = 256 * 1024 * 1024;

/** Null where the items are not texts, some of them null. */
export function encodeTexts(items: readonly unknown[]): TextColumn | null {
  let size = 0;
  let texts = 0;
  for (const item of items) {
    if (typeof item === "string") {
      texts += 1;
      size += Buffer.byteLength(item);
    } else if (item !== null && item !== undefined) return null;
  }
  if (texts === 0) return null;
  const bytes = Buffer.allocUnsafeSlow(size);
  const offsets = new BigInt64Array(items.length + 1);
  const validity = texts === items.length ? null : new Uint8Array(Math.ceil(items.length / 8));
  let end = 0;
  for (let row = 0; row < items.length; row++) {
    const item = items[row];
    if (typeof item === "string") {
      end += bytes.write(item, end);
      if (validity) validity[row >> 3] = (validity[row >> 3] ?? 0) | (1 << (row & 7));
    }
    offsets[row + 1] = BigInt(end);
  }
  return { offsets: new Uint8Array(offsets.buffer), bytes, validity };
}

/** Throws WireError for what is no column of this many rows. */
export function decodeTexts(rows: number, column: TextColumn): (string | null)[] {
  const { validity } = column;
  const bytes = Buffer.from(column.bytes.buffer, column.bytes.byteOffset, column.bytes.byteLength);
  if (column.offsets.byteLength !== (rows + 1) * 8) throw new WireError("offsets that are not those of the rows");
  if (validity && validity.byteLength < Math.ceil(rows / 8)) throw new WireError("a bitmap that is too short");
  const view = new DataView(column.offsets.buffer, column.offsets.byteOffset, column.offsets.byteLength);
  const offsetAt = (row: number): number => Number(view.getBigInt64(row * 8, true));
  if (offsetAt(0) !== 0 || offsetAt(rows) !== bytes.length)
    throw new WireError("offsets that are not those of the bytes");
  const cut = textCutter(bytes);
  const texts = new Array<string | null>(rows);
  let start = 0;
  for (let row = 0; row < rows; row++) {
    const end = offsetAt(row + 1);
    if (!(end >= start && end <= bytes.length)) throw new WireError("offsets that go back");
    const missing = validity && ((validity[row >> 3] ?? 0) & (1 << (row & 7))) === 0;
    texts[row] = missing ? null : cut(start, end);
    start = end;
  }
  return texts;
}

function textCutter(bytes: Buffer): (start: number, end: number) => string {
  if (bytes.length <= ONE_TEXT && isAscii(bytes)) {
    const all = bytes.toString("latin1");
    return (start, end) => all.slice(start, end);
  }
  if (!isUtf8(bytes)) throw new WireError("texts that are no UTF-8");
  return (start, end) => bytes.toString("utf8", start, end);
}
