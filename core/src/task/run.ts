/** One execution of a task, for those who show it, wait for it or end it. */
import type { TaskRecord } from "../engine/protocol";
import type { LazyclusterError } from "../errors";
import type { PyDisplay } from "../python";
import type { TaskProgress } from "./task-events";
import type { TaskLog } from "./task-log";

export interface Run {
  readonly record: TaskRecord;
  readonly ended: boolean;
  readonly error: LazyclusterError | null;
  readonly log: TaskLog;
  /** By step. */
  readonly progress: ReadonlyMap<number, TaskProgress>;
  /** Resolves when it has ended; never rejects. */
  readonly settled: Promise<void>;
  /** A text per started step. */
  readonly entries: string[];
  /** What its cells have shown. */
  readonly displays: PyDisplay[];
  /** How many changes there were so far, for `nextChange`. */
  readonly changes: number;
  /** Resolves at the next change after the first `seen` (default: all until now), at once when it has ended. */
  nextChange(seen?: number): Promise<void>;
  /** The values of its functions, each as soon as it is there. `next()` rejects the task's error. */
  values(): AsyncGenerator<unknown, void, undefined>;
  /** Resolves when it has ended. Rejects LazyclusterError when the engine cannot be asked, or the host of a detached task does not confirm it. */
  cancel(): Promise<void>;
  /** Waits for its end. Rejects its error; a signal that is aborted ends the waiting only. */
  join(signal?: AbortSignal): Promise<void>;
  /** Removes what it keeps on disk but the log. Never rejects. */
  discard(): Promise<void>;
}
