/** An execution's output on its way to disk: the log and its index (log-index.ts). */
import { mkdirSync, openSync, closeSync, writeSync } from "fs";
import { type FileHandle, open } from "fs/promises";
import { dirname } from "path";
import { EngineFailure } from "../protocol";
import { type LoggedSoFar, resumeLog } from "./log-resume";
import { END_LINE, INDEX_SUFFIX, type LogRun, formatRun } from "./log-index";

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
  private writing: Promise<void> | null = null;
  private scheduled = false;
  private failed: EngineFailure | null = null;
  private slow: FileHandle | null = null;

  /** Creates both files. Throws EngineFailure. */
  static create(path: string, host: string, grew: (size: number) => void): LogWriter {
    try {
      mkdirSync(dirname(path), { recursive: true });
      const log = openSync(path, "ax", 0o600);
      try {
        return new LogWriter(path, host, log, openSync(path + INDEX_SUFFIX, "ax", 0o600), grew);
      } catch (error) {
        closeSync(log);
        throw error;
      }
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
      const soFar = resumeLog(path);
      const file = openSync(path, "a");
      try {
        const log = new LogWriter(path, host, file, openSync(path + INDEX_SUFFIX, "a"), grew);
        log.position = soFar.size;
        return { log, soFar };
      } catch (error) {
        closeSync(file);
        throw error;
      }
    } catch (error) {
      throw logFailure(host, path, error);
    }
  }

  private constructor(
    private readonly path: string,
    private readonly host: string,
    private readonly log: number,
    private readonly index: number,
    private readonly grew: (size: number) => void,
  ) {}

  /** `release` is called when the bytes are on disk, or can never be. */
  append(step: number, stream: "stdout" | "stderr", bytes: Buffer, release: () => void): void {
    if (bytes.length === 0 || this.failed) {
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

  /** Flushes what it can and closes the files; another writer will go on. */
  async suspend(): Promise<void> {
    await this.flush().catch(() => undefined);
    await this.slow?.close().catch(() => undefined);
    closeSync(this.log);
    closeSync(this.index);
  }

  /** Flushes what it can and closes the files. */
  async close(): Promise<void> {
    await this.flush().catch(() => undefined);
    await this.slow?.close().catch(() => undefined);
    try {
      // Who follows the log knows by this that nothing more will come.
      if (!this.failed) writeFully(this.index, Buffer.from(`${END_LINE}\n`));
    } catch {
      // A full disk; the output itself is complete, and the journal has the end too.
    }
    closeSync(this.log);
    closeSync(this.index);
  }

  private writeSoon(): void {
    if (this.queue.length === 0 || this.writing) return;
    if (this.queued <= SMALL) {
      const batch = this.take();
      this.attempt(() => {
        writeFully(this.log, Buffer.concat(batch.map((piece) => piece.bytes)));
      }, batch);
      return;
    }
    this.writing = this.writeLarge().finally(() => {
      this.writing = null;
      this.writeSoon();
    });
  }

  private async writeLarge(): Promise<void> {
    const batch = this.take();
    try {
      // Both descriptors append, so that they may take turns.
      this.slow ??= await open(this.path, "a");
      let left = batch.map((piece) => piece.bytes);
      while (left.length > 0) {
        const { bytesWritten } = await this.slow.writev(left);
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
      writeFully(this.index, Buffer.from(this.indexLines(batch), "latin1"));
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
