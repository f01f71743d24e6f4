/** The value of a call as it arrives: in memory up to a bound, in a private file beyond. */
import { type FileHandle, open, rm } from "fs/promises";
import { EngineFailure, IN_MEMORY, type ValueData } from "../../engine/protocol";
import { DocumentCutter, FRAME_COST, type Frame } from "../../wire";

export interface ReaderOptions {
  readonly host: string;
  /** A path for a private file. */
  readonly newFile: () => string;
  /** The file could not be written; nothing more is wanted. */
  readonly failed: () => void;
  /** [bytes] so far. */
  readonly progress: (bytes: number) => void;
}

export class ResultReader {
  private pieces: Buffer[] = [];
  /** [bytes] of the value. */
  private size = 0;
  /** What the pieces cost: tiny ones are worth more than their bytes. */
  private cost = 0;
  private spool: Spool | null = null;

  constructor(private readonly options: ReaderOptions) {}

  /** @param release to be called when the bytes are gone from the way: kept in memory, or written. */
  take(frame: Frame, release: () => void): void {
    this.size += frame.size;
    this.options.progress(this.size);
    if (this.spool) {
      this.spool.write(frame.pieces, release);
      return;
    }
    for (const piece of frame.pieces) this.pieces.push(piece);
    this.cost += frame.size + frame.pieces.length * FRAME_COST;
    if (this.cost <= IN_MEMORY) {
      release();
      return;
    }
    this.spool = new Spool(this.options);
    this.spool.write(this.pieces, release);
    this.pieces = [];
  }

  /** The whole, null when nothing came. Rejects EngineFailure; throws WireError for what is no document. */
  async finish(): Promise<ValueData | null> {
    if (this.spool) return { kind: "file", path: await this.spool.finish(), size: this.size };
    if (this.size === 0) return null;
    const cutter = new DocumentCutter();
    for (const piece of this.pieces) cutter.push(piece);
    this.pieces = [];
    return { kind: "memory", ...cutter.finishPacked() };
  }

  /** Forgets what came. Rejects EngineFailure when it could not be kept. */
  async discard(): Promise<void> {
    this.pieces = [];
    await this.spool?.remove();
    if (this.spool?.failure) throw this.spool.failure;
  }
}

/** A file that is written piece by piece, in order. */
class Spool {
  private work: Promise<void>;
  private file: FileHandle | null = null;
  private path = "";
  failure: EngineFailure | null = null;

  constructor(private readonly options: ReaderOptions) {
    this.work = this.attempt(async () => {
      this.path = options.newFile();
      this.file = await open(this.path, "wx", 0o600);
    });
  }

  write(pieces: readonly Buffer[], release: () => void): void {
    this.work = this.work.then(async () => {
      await this.attempt(() => this.append(pieces));
      // After a failure too: the host must get rid of the rest before it can say that it ended.
      release();
    });
  }

  async finish(): Promise<string> {
    await this.work;
    await this.attempt(async () => this.close());
    if (!this.failure) return this.path;
    await this.remove();
    throw this.failure;
  }

  async remove(): Promise<void> {
    await this.work;
    await this.close().catch(() => undefined);
    if (this.path !== "") await rm(this.path, { force: true }).catch(() => undefined);
  }

  private async append(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      // A disk that becomes full takes a part without an error.
      for (let offset = 0; offset < piece.length;) {
        offset += (await this.file?.write(piece, offset))?.bytesWritten ?? piece.length;
      }
    }
  }

  private async close(): Promise<void> {
    const { file } = this;
    this.file = null;
    await file?.close();
  }

  /** After a failure nothing more is tried. */
  private async attempt(step: () => Promise<void>): Promise<void> {
    if (this.failure) return;
    try {
      await step();
    } catch (error) {
      const { host } = this.options;
      const reason = error instanceof Error ? error.message : String(error);
      const message =
        `${host}: a value of more than ${String(IN_MEMORY / 2 ** 20)} MB could not be kept in a file of the manager: ${reason}. ` +
        `Free some space, or name another folder with LAZYCLUSTER_STATE_DIR.`;
      this.failure = new EngineFailure({ code: "ERR_OTHER", host, message }, error);
      this.options.failed();
    }
  }
}
