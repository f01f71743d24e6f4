import type { Writable } from "stream";

/** [bytes] up to which pieces are joined: one write is one ssh packet and one system call. */
const JOIN = 32 * 1024;

/** What goes to the agent. Everything that is posted in one turn leaves together; order is kept. */
export class Outbox {
  private pieces: Buffer[] = [];
  private scheduled = false;
  private stuffed = false;
  private waiting: (() => void)[] = [];

  constructor(private readonly stream: Writable) {
    stream.on("drain", () => {
      this.stuffed = false;
      this.wake();
    });
  }

  post(...pieces: Buffer[]): void {
    for (const piece of pieces) if (piece.length > 0) this.pieces.push(piece);
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => this.flush());
  }

  /** True while the stream takes no more; who posts bulk waits then. */
  get full(): boolean {
    return this.stuffed;
  }

  /** Calls back once, when the stream takes more. */
  onDrained(callback: () => void): void {
    this.waiting.push(callback);
  }

  /** Lets everybody go who waits for a stream that will never drain. */
  abandon(): void {
    this.stuffed = false;
    this.wake();
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private flush(): void {
    this.scheduled = false;
    const pieces = this.pieces;
    this.pieces = [];
    let small: Buffer[] = [];
    let size = 0;
    const write = (piece: Buffer): void => {
      if (!this.stream.writable) return;
      if (!this.stream.write(piece)) this.stuffed = true;
    };
    const writeSmall = (): void => {
      if (small.length > 0) write(small.length === 1 && small[0] ? small[0] : Buffer.concat(small, size));
      small = [];
      size = 0;
    };
    for (const piece of pieces) {
      if (piece.length > JOIN) {
        writeSmall();
        write(piece);
        continue;
      }
      if (size + piece.length > JOIN) writeSmall();
      small.push(piece);
      size += piece.length;
    }
    writeSmall();
  }
}
