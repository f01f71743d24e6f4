/** Reads an execution log by its index: what a step printed, all of it or its end, now or as it comes. */
import { closeSync, fstatSync, readSync } from "fs";
import { openLogToRead } from "./log-files";
import { END_LINE, INDEX_SUFFIX, type LogRun, parseRun } from "./log-index";

/** [bytes] that are read at a time. */
const CHUNK = 256 * 1024;

export interface LogSelection {
  /** Null: all steps. */
  readonly step: number | null;
  /** Null: both, in order of arrival. */
  readonly stream: "stdout" | "stderr" | null;
}

/** Runs that follow each other as the index grows. */
export class IndexReader {
  /** Behind the last whole run: what comes after it a writer that goes on may replace. */
  private offset = 0;
  private over = false;

  constructor(private readonly logFile: string) {}

  /** True when the log is complete: no run will follow those that were read. */
  get ended(): boolean {
    return this.over;
  }

  /** The runs since the last call. A log that is not there (yet) has none. */
  read(): LogRun[] {
    const text = readFrom(this.logFile + INDEX_SUFFIX, this.offset);
    const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
    lines.pop();
    const end = lines.indexOf(END_LINE);
    this.over = end >= 0;
    const runs: LogRun[] = [];
    for (const line of this.over ? lines.slice(0, end) : lines) {
      this.offset += line.length + 1;
      const run = parseRun(line);
      if (run) runs.push(run);
    }
    return runs;
  }
}

/** The last `limit` bytes of what was selected, with the number of bytes before them. */
export function readTail(
  logFile: string,
  runs: readonly LogRun[],
  selection: LogSelection,
  limit: number,
): { bytes: Buffer; omitted: number } {
  const chosen = runs.filter((run) => isSelected(run, selection));
  const total = chosen.reduce((sum, run) => sum + run.length, 0);
  let skip = Math.max(0, total - limit);
  const omitted = skip;
  const parts: Buffer[] = [];
  const fd = openOrNull(logFile);
  if (fd === null) return { bytes: Buffer.alloc(0), omitted: 0 };
  try {
    for (const run of chosen) {
      const left = Math.min(skip, run.length);
      skip -= left;
      if (left < run.length) parts.push(readExactly(fd, run.offset + left, run.length - left));
    }
  } finally {
    closeSync(fd);
  }
  return { bytes: Buffer.concat(parts), omitted };
}

/** The selected bytes of these runs, in pieces. */
export function* readRuns(
  logFile: string,
  runs: readonly LogRun[],
  selection: LogSelection,
): Generator<Buffer, void, undefined> {
  const fd = openOrNull(logFile);
  if (fd === null) return;
  try {
    for (const run of runs) {
      if (!isSelected(run, selection)) continue;
      for (let at = 0; at < run.length; at += CHUNK) {
        yield readExactly(fd, run.offset + at, Math.min(CHUNK, run.length - at));
      }
    }
  } finally {
    closeSync(fd);
  }
}

function isSelected(run: LogRun, selection: LogSelection): boolean {
  return (
    (selection.step === null || selection.step === run.step) &&
    (selection.stream === null || selection.stream === run.stream)
  );
}

function readExactly(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, bytes, filled, length - filled, offset + filled);
    if (count === 0) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

function readFrom(path: string, offset: number): string {
  const fd = openOrNull(path);
  if (fd === null) return "";
  try {
    const size = fstatSync(fd).size - offset;
    return size <= 0 ? "" : readExactly(fd, offset, size).toString("latin1");
  } finally {
    closeSync(fd);
  }
}

function openOrNull(path: string): number | null {
  try {
    return openLogToRead(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
