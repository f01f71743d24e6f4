import { type FSWatcher, watch } from "fs";
import { IndexReader, type LogSelection, readRuns } from "../../engine/journal";
import { TaskExecutionError } from "../../errors";
import { type KnownTask, adopt, findTask } from "../processes";
import { interruptSignal } from "../interrupt";
import { CommandFailure, EXIT } from "../output";

/** [ms] between two looks, where the file system tells nothing. */
const LOOK_MS = 500;

export interface LogsOptions {
  follow?: boolean;
  step?: string;
  stream?: string;
}

/** Prints what a task printed, byte for byte; with `follow` until it ends. */
export async function logs(wanted: string, options: LogsOptions): Promise<void> {
  const known = findTask(wanted);
  const task = known.record;
  const selection = { step: readStep(options.step, task.steps.length), stream: readStream(options.stream) };
  if (options.follow === true) await followed(known, selection);
  else for (const piece of readRuns(task.logFile, new IndexReader(task.logFile).read(), selection)) await write(piece);
}

/** Prints until the task ends, as `logs -f`, and gives its exit code. */
export async function attach(wanted: string): Promise<number> {
  const known = findTask(wanted);
  const interrupted = await followed(known, { step: null, stream: null });
  if (interrupted) return EXIT.interrupted;
  // The log may be complete a moment before its end is written down.
  while (runs(known.id)) await changed(known.record.logFile, AbortSignal.timeout(LOOK_MS));
  const task = findTask(known.id).record;
  const code = task.failure?.task?.exitCode ?? null;
  if (task.state === "done") return 0;
  if (code === null) throw new CommandFailure(task.failure?.message ?? `The task is ${task.state}.`, EXIT.failed);
  return code;
}

/** A detached task that nobody looks after is looked after from here. True: it was interrupted. */
async function followed(known: KnownTask, selection: LogSelection): Promise<boolean> {
  const signal = interruptSignal();
  const { id, logFile } = known.record;
  const execution = adopt(known);
  let over = execution === null;
  const ended = (): void => {
    over = true;
  };
  // Its failure is told by its record.
  void execution?.then(ended, ended);
  const index = new IndexReader(logFile);
  for (;;) {
    // Asked first, so that what was written before the end is still read.
    const last = signal.aborted || (over && (index.ended || !runs(id)));
    for (const piece of readRuns(logFile, index.read(), selection)) await write(piece);
    if (last) break;
    await changed(logFile, signal);
  }
  if (execution?.task.error && !(execution.task.error instanceof TaskExecutionError)) throw execution.task.error;
  return signal.aborted;
}

/** The journal knows it even where the log could not be finished. */
function runs(id: string): boolean {
  return findTask(id).record.state === "running";
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
