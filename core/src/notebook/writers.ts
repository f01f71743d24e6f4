/** What cells find in place of the process's stdout and stderr. */
import type { Publisher } from "./publisher";
import type { StreamName } from "./output";

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
    return (data: string | Uint8Array, encoding?: unknown, done?: unknown) => {
      const text =
        typeof data === "string" && typeof encoding === "string" && !/^utf-?8$/i.test(encoding)
          ? Buffer.from(data, encoding as BufferEncoding)
          : data;
      this.publisher.print(name, text);
      const callback = typeof encoding === "function" ? encoding : done;
      if (typeof callback === "function") queueMicrotask(callback as () => void);
      return true;
    };
  }
}
