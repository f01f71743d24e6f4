/** Where the log of an execution ends whose writer died: what it has, and what is only half there. */
import { ftruncateSync } from "fs";
import { type LogFiles, readWhole } from "./log-files";
import { END_LINE, RESUMED_LINE, parseRun } from "./log-index";

export interface LoggedSoFar {
  /** [bytes] of output in the log. */
  readonly size: number;
  /** [bytes] by step and stream, such as `0 stdout`. */
  readonly counts: ReadonlyMap<string, number>;
}

/** What a writer that goes on must know; bytes that the index does not tell of are cut off. Throws what the file system does. */
export function resumeLog({ log, index }: LogFiles): LoggedSoFar {
  const text = readWhole(index).toString("latin1");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  const counts = new Map<string, number>();
  let size = 0;
  let kept = 0;
  for (const line of whole.split("\n")) {
    if (line === END_LINE || line === "") break;
    if (line === RESUMED_LINE) {
      kept += line.length + 1;
      continue;
    }
    const run = parseRun(line);
    // A line that does not continue the log is from a crash; what it tells of comes again.
    if (run?.offset !== size) break;
    size += run.length;
    kept += line.length + 1;
    const key = `${String(run.step)} ${run.stream}`;
    counts.set(key, (counts.get(key) ?? 0) + run.length);
  }
  ftruncateSync(index, kept);
  ftruncateSync(log, size);
  return { size, counts };
}
