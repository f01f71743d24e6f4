/**
 * Text on its way from a thread that may never pause to one that always listens: memory of both, written by the one and
 * read by the other, without locks, so that the writer may be stopped anywhere.
 */

const HEAD = 0;
const TAIL = 1;
const TOLD = 2;
const SLOTS = 3;
/** [bytes] A power of two, so that positions may run over. */
const SIZE = 1024 * 1024;
/** [bytes] that are no reason to hurry. */
const MUCH_BYTES = SIZE / 8;
/** [bytes] that one UTF-16 unit may take. */
const MOST = 3;
/** In no UTF-8: what fills the end of the memory where a character does not fit. */
const FILLER = 0xff;

/** What the reader was told since it looked last. */
const NOTHING = 0;
const TEXT = 1;
const MUCH = 2;

/** Where in the stream of all bytes; it runs over, so only differences count. */
export type Position = number;

export class TextRing {
  private readonly slots: Int32Array;
  private readonly bytes: Buffer;

  /** @param memory shared by both threads. */
  constructor(readonly memory = new SharedArrayBuffer(SLOTS * Int32Array.BYTES_PER_ELEMENT + SIZE)) {
    this.slots = new Int32Array(memory, 0, SLOTS);
    this.bytes = Buffer.from(memory, SLOTS * Int32Array.BYTES_PER_ELEMENT, SIZE);
  }

  /** Behind what is written. */
  get head(): Position {
    return Atomics.load(this.slots, HEAD);
  }

  /**
   * By the writer. Gives the text that found no place within this time.
   *
   * @param tell asks the reader to look: soon, or at once.
   * @param waitMs that it may wait for a place.
   */
  write(text: string, tell: (atOnce: boolean) => void, waitMs: number): string {
    let rest = text;
    while (rest !== "") {
      const head = Atomics.load(this.slots, HEAD);
      const tail = Atomics.load(this.slots, TAIL);
      const used = (head - tail) | 0;
      const at = head & (SIZE - 1);
      const room = Math.min(SIZE - used, SIZE - at);
      const piece = rest.length * MOST <= room ? rest : rest.slice(0, whole(rest, Math.floor(room / MOST)));
      if (piece === "" && (at + room < SIZE || room === 0)) {
        tell(true);
        if (Atomics.wait(this.slots, TAIL, tail, waitMs) === "timed-out") return rest;
        continue;
      }
      const written = piece === "" ? room : this.bytes.write(piece, at, room, "utf8");
      if (piece === "") this.bytes.fill(FILLER, at, at + room);
      Atomics.store(this.slots, HEAD, (head + written) | 0);
      rest = piece.length === rest.length ? "" : rest.slice(piece.length);
      this.tell(used + written > MUCH_BYTES ? MUCH : TEXT, tell);
    }
    return "";
  }

  /** By the reader, before it looks how far the text goes: from now on the writer tells again. */
  look(): Position {
    Atomics.store(this.slots, TOLD, NOTHING);
    return this.head;
  }

  /** By the reader: the text up to there. */
  read(to: Position): string {
    const tail = Atomics.load(this.slots, TAIL);
    const count = (to - tail) | 0;
    if (count <= 0) return "";
    const at = tail & (SIZE - 1);
    const end = Math.min(SIZE, at + count);
    const text = this.text(at, end) + this.text(0, count - (end - at));
    Atomics.store(this.slots, TAIL, to);
    Atomics.notify(this.slots, TAIL);
    return text;
  }

  private text(from: number, to: number): string {
    let end = to;
    if (to === SIZE) while (end > from && this.bytes[end - 1] === FILLER) end -= 1;
    return this.bytes.toString("utf8", from, end);
  }

  private tell(what: number, tell: (atOnce: boolean) => void): void {
    if (Atomics.load(this.slots, TOLD) >= what) return;
    Atomics.store(this.slots, TOLD, what);
    tell(what === MUCH);
  }
}

/** So many units of a text that no character is cut. */
function whole(text: string, units: number): number {
  const last = text.charCodeAt(units - 1);
  return units > 0 && last >= 0xd800 && last < 0xdc00 ? units - 1 : units;
}
