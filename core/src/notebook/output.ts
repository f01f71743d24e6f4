/** What cells print, gathered into few messages where no other thread can do it. */
import { type Header, type Outgoing, type StreamName, streamMessage } from "./message";

/**
 * What is written now and then leaves at once: the cell may go into a loop in which no timer fires. Of a flood, so many
 * messages [per window] leave at once, and the rest is gathered.
 */
const AT_ONCE = 20;
/** [ms] */
const WINDOW_MS = 50;
/** [characters] of one message. */
const MESSAGE_SIZE = 64 * 1024;

export class Output {
  private name: StreamName = "stdout";
  private parent: Header | null = null;
  private pieces: string[] = [];
  private size = 0;
  private timer: NodeJS.Timeout | null = null;
  private windowStart = -Infinity;
  private left = 0;

  constructor(private readonly send: (message: Outgoing) => void) {}

  write(name: StreamName, text: string, parent: Header | null): void {
    if (text === "") return;
    if (name !== this.name || parent !== this.parent) this.flush();
    // What an earlier cell flooded is no reason to hold the first words of this one.
    if (parent !== this.parent) this.windowStart = -Infinity;
    this.name = name;
    this.parent = parent;
    this.pieces.push(text);
    this.size += text.length;
    if (this.size >= MESSAGE_SIZE || this.mayLeave()) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), WINDOW_MS).unref();
  }

  /** Sends what is there; to be called before any other message, which then comes after it. */
  flush(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    if (this.size === 0) return;
    const text = this.pieces.join("");
    this.pieces = [];
    this.size = 0;
    this.send(streamMessage(this.name, text, this.parent));
  }

  private mayLeave(): boolean {
    const now = performance.now();
    if (now - this.windowStart > WINDOW_MS) {
      this.windowStart = now;
      this.left = AT_ONCE;
    }
    this.left -= 1;
    return this.left >= 0;
  }
}
