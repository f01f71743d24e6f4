import { MAX_TREE, WireError, documentLengths } from "../wire";

/** [bytes] of a tree that is looked into. */
const LONGEST = 256 * 1024;

/** What the beginning of a value document says of its size, for people; it comes in pieces. */
export class AnnouncedSize {
  /** [bytes]; null while it is not known. */
  size: number | null = null;
  private start: Buffer = Buffer.alloc(0);
  private done = false;

  take(pieces: readonly Buffer[]): void {
    if (this.done) return;
    this.start = Buffer.concat([this.start, ...pieces]).subarray(0, LONGEST);
    if (this.start.length < 4) return;
    const end = 4 + this.start.readUInt32BE(0);
    this.done = end > LONGEST || end > MAX_TREE || this.start.length >= end;
    if (this.start.length < end) return;
    try {
      const lengths = documentLengths(this.start.subarray(4, end));
      this.size = lengths.reduce((sum, length) => sum + length, end);
    } catch (error) {
      // Whoever reads it says what is wrong.
      if (!(error instanceof WireError)) throw error;
    }
    this.start = Buffer.alloc(0);
  }
}
