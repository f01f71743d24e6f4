import { MAX_TREE, WireError, documentLengths } from "../../wire";

/** [bytes] of a tree that is looked into. */
const LONGEST = 256 * 1024;

/** What the beginning of a value document says of its size, for people; it comes in pieces. */
export class AnnouncedSize {
  /** [bytes]; null while it is not known. */
  size: number | null = null;
  private start: Buffer = Buffer.alloc(0);
  /** [bytes] of `start` that are in use. */
  private filled = 0;
  private done = false;

  take(pieces: readonly Buffer[]): void {
    for (const piece of pieces) this.append(piece);
    if (this.done || this.filled < 4) return;
    const end = 4 + this.start.readUInt32BE(0);
    if (end <= LONGEST && end <= MAX_TREE && this.filled < end) return;
    this.done = true;
    const start = this.start.subarray(0, this.filled);
    this.start = Buffer.alloc(0);
    if (start.length < end) return;
    try {
      const lengths = documentLengths(start.subarray(4, end));
      this.size = lengths.reduce((sum, length) => sum + length, end);
    } catch (error) {
      // Whoever reads it says what is wrong.
      if (!(error instanceof WireError)) throw error;
    }
  }

  /** Of tiny pieces, too, each byte is copied only so often as the room for it has doubled. */
  private append(piece: Buffer): void {
    if (this.done || this.filled >= LONGEST) return;
    const count = Math.min(piece.length, LONGEST - this.filled);
    if (this.filled + count > this.start.length) {
      const start = Buffer.alloc(Math.min(LONGEST, Math.max(256, 2 * (this.filled + count))));
      this.start.copy(start);
      this.start = start;
    }
    piece.copy(this.start, this.filled, 0, count);
    this.filled += count;
  }
}
