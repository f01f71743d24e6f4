/** What a cell writes to stdout and stderr, gathered into few messages, in order, with nothing lost. */
import { StringDecoder } from "string_decoder";

export type StreamName = "stdout" | "stderr";

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
  private pieces: string[] = [];
  private size = 0;
  private timer: NodeJS.Timeout | null = null;
  private windowStart = -Infinity;
  private left = 0;
  private readonly decoders = { stdout: new StringDecoder("utf8"), stderr: new StringDecoder("utf8") };

  constructor(private readonly send: (name: StreamName, text: string) => void) {}

  write(name: StreamName, data: string | Uint8Array): void {
    // A character may come in two writes of bytes.
    const text = typeof data === "string" ? data : this.decoders[name].write(Buffer.from(data));
    if (text === "") return;
    if (name !== this.name) this.flush();
    this.name = name;
    this.pieces.push(text);
    this.size += text.length;
    if (this.size >= MESSAGE_SIZE || this.mayLeave()) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), WINDOW_MS).unref();
  }

  /** For a new cell: sends what is there. What an earlier one flooded is no reason to hold this one's first words. */
  begin(): void {
    this.flush();
    this.windowStart = -Infinity;
  }

  /** Sends what is there; to be called before any other message, which then comes after it. */
  flush(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    if (this.size === 0) return;
    const text = this.pieces.join("");
    this.pieces = [];
    this.size = 0;
    this.send(this.name, text);
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
