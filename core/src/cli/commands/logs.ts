import { type FSWatcher, existsSync, watch } from "fs";
import { IndexReader, type LogSelection, readRuns } from "../../engine/journal";
import type { TaskRecord } from "../../engine/protocol";
import { errorFromFailure } from "../../errors";
import { TaskExecutionError, type Execution } from "../../task";
import { REASON_EXIT } from "../exit-code";
import { interruptSignal } from "../interrupt";
import { CommandFailure, EXIT } from "../output";
import {
  type KnownTask,
  TaskWatch,
  adopt,
  findTask,
  foreignPlace,
  isOrphaned,
  otherPlace,
  shortId,
} from "../processes";

/** [ms] between two looks, where the file system tells nothing. */
const LOOK_MS = 500;

export interface LogsOptions {
  follow?: boolean;
  force?: boolean;
  step?: string;
  stream?: string;
}

/** Prints what a task printed, byte for byte; with `follow` until it ends. Gives the exit code. */
export async function logs(wanted: string, options: LogsOptions): Promise<number> {
  const known = findTask(wanted);
  const task = known.record;
  const selection = { step: readStep(options.step, task.steps.length), stream: readStream(options.stream) };
  requireLog(known);
  if (options.follow === true) {
    return (await followed(known, selection, "log", options.force === true)) ? 0 : EXIT.interrupted;
  }
  for (const piece of readRuns(task.logFile, new IndexReader(task.logFile).read(), selection)) await write(piece);
  return 0;
}

/** Prints until the task ends, as `logs -f`, and gives its exit code. */
export async function attach(wanted: string, options: { force?: boolean }): Promise<number> {
  const known = findTask(wanted);
  requireLog(known);
  const record = await followed(known, { step: null, stream: null }, "record", options.force === true);
  if (record === null) return EXIT.interrupted;
  if (record.state === "done") return 0;
  const { failure } = record;
  if (failure && !failure.task) throw errorFromFailure(failure);
  const reason = failure?.task?.reason ?? (record.state === "failed" ? "failed" : "lost");
  const code = reason === "failed" ? (failure?.task?.exitCode ?? null) : null;
  if (code !== null) return code;
  const message = `Task ${JSON.stringify(record.name)} on ${record.host} is ${record.state}.`;
  throw new CommandFailure(failure?.message ?? message, REASON_EXIT[reason]);
}

/**
 * A detached task that nobody looks after, or nobody any more, is looked after from here.
 *
 * @param force also one that a process of another machine looks after, as far as is known here
 * @param until the log is complete, or the end of the task is written down, which may be a moment later
 * @returns null when it was interrupted; else how it ended
 * @throws LazyclusterError when its host cannot be asked.
 */
async function followed(
  known: KnownTask,
  selection: LogSelection,
  until: "log" | "record",
  force: boolean,
): Promise<TaskRecord | null> {
  const signal = interruptSignal();
  const { logFile } = known.record;
  const watched = new TaskWatch(known);
  const index = new IndexReader(logFile);
  const place = force ? null : otherPlace(known);
  if (place !== null) {
    const { pid, title } = known.engine.engine;
    process.stderr.write(
      `lazycluster: ${called(known)} is looked after by process ${String(pid)} (${title}) on ${place}.\n`,
    );
  }
  let execution: Execution | null = null;
  let over = false;
  for (;;) {
    // Asked first, so that what was written before the end is still read.
    const now = watched.look();
    if (!execution) {
      over = now.record.state !== "running";
      execution = adopt(now, force);
      execution?.task.on("end", () => (over = true));
    }
    const last = signal.aborted || over;
    for (const piece of readRuns(logFile, index.read(), selection)) await write(piece);
    if (signal.aborted) return null;
    if (last || (until === "log" && index.ended && !execution && !isOrphaned(now))) break;
    await changed(logFile, signal);
  }
  // Its failure is told by its record. Who waits for it earlier than now keeps the process alive, interrupted or not.
  void execution?.catch(() => undefined);
  const { record } = execution ? findTask(known.id) : watched.look();
  const error = execution?.task.error;
  // Where no record could be written, the error is all there is.
  if (error && (record.state === "running" || !(error instanceof TaskExecutionError))) throw error;
  return record.state === "running" && execution ? { ...record, state: "done" } : record;
}

/** A home may be shared, and the folder of the logs not. */
function requireLog(known: KnownTask): void {
  const { logFile } = known.record;
  const place = foreignPlace(known);
  if (place === null || existsSync(logFile)) return;
  throw new CommandFailure(
    `${called(known)} is ${known.record.state} by process ${String(known.engine.engine.pid)} on ${place}, and its log ${logFile} is not here. ` +
      `Call \`lazycluster logs ${shortId(known)}\` there.`,
    EXIT.failed,
  );
}

function called(known: KnownTask): string {
  return `Task ${JSON.stringify(known.name)} (${shortId(known)})`;
}

/** Waits while the reader is slow. */
async function write(piece: Buffer): Promise<void> {
  if (!process.stdout.write(piece)) await new Promise((resolve) => process.stdout.once("drain", resolve));
}

/** Resolves at the next change of the file, and after a while without one. */
function changed(file: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let watcher: FSWatcher | null = null;
    const finish = (): void => {
      clearTimeout(timer);
      watcher?.close();
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, LOOK_MS);
    signal.addEventListener("abort", finish);
    try {
      watcher = watch(file, finish).on("error", finish);
    } catch {
      // Not there yet, or no more watches to be had: the timer serves.
    }
  });
}

function readStep(text: string | undefined, count: number): number | null {
  if (text === undefined) return null;
  const step = Number(text);
  if (!Number.isInteger(step) || step < 0 || step >= count) {
    throw new CommandFailure(
      `--step is a number from 0 to ${String(count - 1)}, not ${JSON.stringify(text)}.`,
      EXIT.usage,
    );
  }
  return step;
}

function readStream(text: string | undefined): "stdout" | "stderr" | null {
  if (text === undefined || text === "stdout" || text === "stderr") return text ?? null;
  throw new CommandFailure(`--stream is stdout or stderr, not ${JSON.stringify(text)}.`, EXIT.usage);
}
