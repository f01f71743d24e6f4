/** The output of one execution, read from its log file. */
import { type LogRun, type LogSelection, IndexReader, readRuns, readTail } from "../engine/journal";

export type OutputStream = "stdout" | "stderr";
/** [bytes] of a step that `executionLog` shows. */
const ENTRY = 1024 * 1024;

export class TaskLog {
  private readonly index: IndexReader;
  private readonly runs: LogRun[] = [];

  constructor(readonly file: string) {
    this.index = new IndexReader(file);
  }

  /** Runs that were written since the last call. */
  refresh(): LogRun[] {
    if (this.index.ended) return [];
    const fresh = this.index.read();
    this.runs.push(...fresh);
    return fresh;
  }

  /** A step's output as text; after a note when it is only its end. */
  entry(step: number): string {
    this.refresh();
    const { bytes, omitted } = readTail(this.file, this.runs, { step, stream: null }, ENTRY);
    const note = omitted === 0 ? "" : `[${String(omitted)} bytes before this are in ${this.file}]\n`;
    return note + bytes.toString("utf8");
  }

  /** The last `limit` bytes of a step, null: of all. */
  tail(step: number | null, limit: number): string {
    this.refresh();
    return readTail(this.file, this.runs, { step, stream: null }, limit).bytes.toString("utf8");
  }

  *read(runs: readonly LogRun[], selection: LogSelection): Generator<Buffer, void, undefined> {
    yield* readRuns(this.file, runs, selection);
  }
}
