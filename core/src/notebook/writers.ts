/** What cells find in place of the process's stdout and stderr. */
import { StringDecoder } from "string_decoder";
import type { StreamName } from "./message";
import type { Publisher } from "./publisher";

type Write = typeof process.stdout.write;

export class Writers {
  private readonly stdout: Write;
  private readonly stderr: Write;

  constructor(private readonly publisher: Publisher) {
    this.stdout = this.writer("stdout");
    this.stderr = this.writer("stderr");
  }

  /** For each cell again: a cell may have put others in their place. */
  install(): void {
    process.stdout.write = this.stdout;
    process.stderr.write = this.stderr;
  }

  private writer(name: StreamName): Write {
    // A character may come in two writes of bytes.
    const decoder = new StringDecoder("utf8");
    return (data: string | Uint8Array, encoding?: unknown, done?: unknown) => {
      if (typeof data !== "string") this.publisher.print(name, decoder.write(Buffer.from(data)));
      else if (typeof encoding !== "string" || /^utf-?8$/i.test(encoding)) this.publisher.print(name, data);
      else this.publisher.print(name, decoder.write(Buffer.from(data, encoding as BufferEncoding)));
      const callback = typeof encoding === "function" ? encoding : done;
      if (typeof callback === "function") queueMicrotask(callback as () => void);
      return true;
    };
  }
}
