import { MAX_TREE, WireError, documentLengths } from "../wire";

/** [bytes] of a tree that is looked into. */
const LONGEST = 256 * 1024;

/** [bytes] of a value document as its beginning announces them, for people; null where that does not tell. */
export function announcedSize(pieces: readonly Buffer[]): number | null {
  const start = Buffer.concat(pieces, Math.min(LONGEST, total(pieces)));
  if (start.length < 4) return null;
  const end = 4 + start.readUInt32BE(0);
  if (end > start.length || end > MAX_TREE) return null;
  try {
    return total(documentLengths(start.subarray(4, end)).map((length) => ({ length }))) + end;
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

function total(parts: readonly { readonly length: number }[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
