/** Output of several hosts at once: whole lines, each under its host's name. */
import { StringDecoder } from "string_decoder";

export type Stream = "stdout" | "stderr";

export class HostLines {
  private readonly decoders = { stdout: new StringDecoder("utf8"), stderr: new StringDecoder("utf8") };
  private readonly started = { stdout: "", stderr: "" };

  /** @param width of the longest name, so that the lines stand below each other. */
  constructor(
    private readonly host: string,
    private readonly width: number,
  ) {}

  write(stream: Stream, data: Buffer): void {
    const lines = (this.started[stream] + this.decoders[stream].write(data)).split("\n");
    this.started[stream] = lines.pop() ?? "";
    for (const line of lines) this.print(stream, line);
  }

  /** What had no newline at its end. */
  end(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      const left = this.started[stream] + this.decoders[stream].end();
      this.started[stream] = "";
      if (left !== "") this.print(stream, left);
    }
  }

  private print(stream: Stream, line: string): void {
    process[stream].write(`${this.host.padEnd(this.width)} │ ${line}\n`);
  }
}
