/** An execution's output on its way to disk: the log and its index (log-index.ts). */
import { fstatSync, writeSync, writev } from "fs";
import { promisify } from "util";
import { EngineFailure } from "../protocol";
import { type LogFiles, closeLogFiles, createLogFiles, reopenLogFiles } from "./log-files";
import { END_LINE, type LogRun, RESUMED_LINE, formatRun } from "./log-index";
import { type LoggedSoFar, resumeLog } from "./log-resume";

const writeMany = promisify(writev);

/** [bytes] below which a batch is written at once: cheaper than a turn through the thread pool. */
const SMALL = 64 * 1024;

interface Piece {
  readonly step: number;
  readonly stream: "stdout" | "stderr";
  readonly bytes: Buffer;
  readonly release: () => void;
}

export class LogWriter {
  private queue: Piece[] = [];
  private queued = 0;
  private position = 0;
  /** [bytes] of the index, as long as nobody else writes it. */
  private indexSize = 0;
  private writing: Promise<void> | null = null;
  private scheduled = false;
  private failed: EngineFailure | null = null;
  private closed = false;

  /** Creates both files. Throws EngineFailure. */
  static create(path: string, host: string, grew: (size: number) => void): LogWriter {
    try {
      return new LogWriter(path, host, createLogFiles(path), grew);
    } catch (error) {
      throw logFailure(host, path, error);
    }
  }

  /** Goes on where a writer that died has stopped. Throws EngineFailure. */
  static resume(
    path: string,
    host: string,
    grew: (size: number) => void,
  ): { readonly log: LogWriter; readonly soFar: LoggedSoFar } {
    try {
      const files = reopenLogFiles(path);
      try {
        const log = new LogWriter(path, host, files, grew);
        const soFar = resumeLog(files);
        log.position = soFar.size;
        log.indexSize = fstatSync(files.index).size;
        log.writeIndex(`${RESUMED_LINE}\n`);
        return { log, soFar };
      } catch (error) {
        closeLogFiles(files);
        throw error;
      }
    } catch (error) {
      throw logFailure(host, path, error);
    }
  }

  private constructor(
    private readonly path: string,
    private readonly host: string,
    private readonly files: LogFiles,
    private readonly grew: (size: number) => void,
  ) {}

  /** `release` is called when the bytes are on disk, or can never be. */
  append(step: number, stream: "stdout" | "stderr", bytes: Buffer, release: () => void): void {
    // The number of a descriptor that was closed may be another file's by now.
    if (bytes.length === 0 || this.failed || this.closed) {
      release();
      return;
    }
    this.queue.push({ step, stream, bytes, release });
    this.queued += bytes.length;
    if (this.scheduled || this.writing) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.writeSoon();
    });
  }

  /** Resolves when all that was appended is on disk. Rejects EngineFailure when it could not be written. */
  async flush(): Promise<void> {
    if (!this.writing && this.queue.length > 0) this.writeSoon();
    while (this.writing) await this.writing;
    if (this.failed) throw this.failed;
  }

  /** Flushes what it can and closes the files; another writer will go on. Never rejects: gives what went wrong, which no step was told. */
  async suspend(): Promise<EngineFailure | null> {
    return this.finish(false);
  }

  /** The same, and nothing more will come. */
  async close(): Promise<EngineFailure | null> {
    return this.finish(true);
  }

  private async finish(over: boolean): Promise<EngineFailure | null> {
    if (this.closed) return null;
    const told = this.failed !== null;
    await this.flush().catch(() => undefined);
    this.closed = true;
    try {
      // Who follows the log knows by this that nothing more will come.
      if (over && !this.failed && !this.isAnothers()) writeFully(this.files.index, Buffer.from(`${END_LINE}\n`));
    } catch {
      // A full disk; the output itself is complete, and the journal has the end too.
    }
    const broken = closeLogFiles(this.files);
    if (broken) this.failed ??= logFailure(this.host, this.path, broken);
    return told ? null : this.failed;
  }

  private writeSoon(): void {
    if (this.queue.length === 0 || this.writing) return;
    if (this.isAnothers()) {
      for (const piece of this.take()) piece.release();
      return;
    }
    if (this.queued <= SMALL) {
      const batch = this.take();
      this.attempt(() => {
        writeFully(this.files.log, Buffer.concat(batch.map((piece) => piece.bytes)));
      }, batch);
      return;
    }
    this.writing = this.writeLarge().finally(() => {
      this.writing = null;
      this.writeSoon();
    });
  }

  /** Whoever slept meanwhile has still to write what came before: the one that went on has it, too. */
  private isAnothers(): boolean {
    return fstatSync(this.files.index).size !== this.indexSize;
  }

  private writeIndex(lines: string): void {
    const bytes = Buffer.from(lines, "latin1");
    writeFully(this.files.index, bytes);
    this.indexSize += bytes.length;
  }

  private async writeLarge(): Promise<void> {
    const batch = this.take();
    try {
      let left = batch.map((piece) => piece.bytes);
      while (left.length > 0) {
        const { bytesWritten } = await writeMany(this.files.log, left);
        left = behind(left, bytesWritten);
      }
    } catch (error) {
      this.fail(error, batch);
      return;
    }
    this.attempt(() => undefined, batch);
  }

  private attempt(write: () => void, batch: Piece[]): void {
    try {
      write();
      this.writeIndex(this.indexLines(batch));
    } catch (error) {
      this.fail(error, batch);
      return;
    }
    for (const piece of batch) piece.release();
    this.grew(this.position);
  }

  private indexLines(batch: Piece[]): string {
    const time = Date.now();
    const runs: LogRun[] = [];
    for (const { step, stream, bytes } of batch) {
      const last = runs.at(-1);
      if (last?.step === step && last.stream === stream) {
        runs[runs.length - 1] = { ...last, length: last.length + bytes.length };
      } else {
        runs.push({ step, stream, offset: this.position, length: bytes.length, time });
      }
      this.position += bytes.length;
    }
    return runs.map(formatRun).join("");
  }

  private take(): Piece[] {
    const batch = this.queue;
    this.queue = [];
    this.queued = 0;
    return batch;
  }

  private fail(error: unknown, batch: Piece[]): void {
    this.failed ??= logFailure(this.host, this.path, error);
    for (const piece of [...batch, ...this.take()]) piece.release();
  }
}

function writeFully(fd: number, bytes: Buffer): void {
  let offset = 0;
  while (offset < bytes.length) offset += writeSync(fd, bytes, offset);
}

/** What remains of the pieces behind their first `count` bytes. */
function behind(pieces: Buffer[], count: number): Buffer[] {
  let skip = count;
  const left: Buffer[] = [];
  for (const piece of pieces) {
    if (skip >= piece.length) skip -= piece.length;
    else {
      left.push(piece.subarray(skip));
      skip = 0;
    }
  }
  return left;
}

function logFailure(host: string, path: string, error: unknown): EngineFailure {
  const reason = error instanceof Error ? error.message : String(error);
  return new EngineFailure(
    {
      code: "ERR_OTHER",
      host,
      path,
      message: `${host}: the execution log ${path} could not be written: ${reason}. Choose another folder with Environment.setMainDirectory, or free some space.`,
    },
    error,
  );
}
