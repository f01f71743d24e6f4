/**
 * The index of an execution log. `<log>` has the raw bytes of all steps in order of arrival; `<log>.index` has a line
 * per run of bytes of one step and stream: `step stream offset length time`, times in ms since the epoch.
 */

export const INDEX_SUFFIX = ".index";

export interface LogRun {
  readonly step: number;
  readonly stream: "stdout" | "stderr";
  readonly offset: number;
  readonly length: number;
  /** [ms] since the epoch. */
  readonly time: number;
}

const LINE = /^(\d{1,9}) (stdout|stderr) (\d{1,16}) (\d{1,16}) (\d{1,16})$/;

export function formatRun(run: LogRun): string {
  return `${String(run.step)} ${run.stream} ${String(run.offset)} ${String(run.length)} ${String(run.time)}\n`;
}

/** Null for a line that is none of ours, such as one that a crash cut off. */
export function parseRun(line: string): LogRun | null {
  const match = LINE.exec(line);
  if (!match) return null;
  const [, step, stream, offset, length, time] = match;
  return {
    step: Number(step),
    stream: stream === "stdout" ? "stdout" : "stderr",
    offset: Number(offset),
    length: Number(length),
    time: Number(time),
  };
}

/** Another writer goes on from here: the one before, should it wake up, sees by it that the log is not its own any more. */
export const RESUMED_LINE = "resumed";

/** The last line of an index: nothing more will come. */
export const END_LINE = "end";
