/** The output of one execution, read from its log file. */
import { type LogRun, type LogSelection, IndexReader, readRuns, readTail } from "../engine/journal";

export type OutputStream = "stdout" | "stderr";
/** [bytes] of a step that `executionLog` shows. */
const ENTRY = 1024 * 1024;

/** Prints each entry with its index; says so when there is none. */
export function printEntries(task: string, host: string | null, entries: readonly string[]): void {
  if (entries.length === 0) {
    console.log(`Task ${JSON.stringify(task)}: the execution log is empty.`);
    return;
  }
  console.log(`Task ${JSON.stringify(task)} on ${host ?? ""}:`);
  entries.forEach((entry, index) => {
    console.log(`[${String(index)}] ${entry.replace(/\n$/, "")}`);
  });
}

export class TaskLog {
  private readonly index: IndexReader;
  private readonly runs: LogRun[] = [];

  constructor(readonly file: string) {
    this.index = new IndexReader(file);
  }

  /** How many runs are known by now. */
  get length(): number {
    this.refresh();
    return this.runs.length;
  }

  /** All output from the run of this number on, in pieces. */
  *readFrom(first: number): Generator<{ run: LogRun; data: Buffer }, void, undefined> {
    for (const run of this.runs.slice(first)) {
      for (const data of readRuns(this.file, [run], { step: null, stream: null })) yield { run, data };
    }
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
    return this.end({ step, stream: null }, limit).text;
  }

  /** The last `limit` bytes of what is selected, and how many are before them. */
  end(selection: LogSelection, limit: number): { text: string; omitted: number } {
    this.refresh();
    const { bytes, omitted } = readTail(this.file, this.runs, selection, limit);
    return { text: bytes.toString("utf8"), omitted };
  }

  private refresh(): void {
    if (!this.index.ended) for (const run of this.index.read()) this.runs.push(run);
  }
}
