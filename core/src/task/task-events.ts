/** What a task tells its listeners. */
import type { EventEmitter } from "events";
import { inspect } from "util";
import type { StepRecord, TaskState } from "../engine/protocol";
import { Environment } from "../environment";
import type { LazyclusterError } from "../errors";
import type { PyDisplay } from "../python";
import type { OutputStream } from "./task-log";

/** What a task consists of, and how far each step came. */
export type TaskStep = Pick<
  StepRecord,
  "index" | "kind" | "description" | "state" | "exitCode" | "signal" | "durationMs"
>;

/** How far a transfer is. Totals are null while unknown. */
export interface TaskProgress {
  step: number;
  bytes: number;
  totalBytes: number | null;
  files: number;
  totalFiles: number | null;
  /** [bytes/s] over the last seconds. */
  bytesPerSecond: number;
}

export interface TaskEvents {
  /** A transfer moved on; totals are null while unknown. Sizes in [bytes]. */
  progress: TaskProgress;
  /** Output as it arrives. */
  output: { step: number; stream: OutputStream; data: Buffer };
  /** A cell of a session showed something, such as a plot. */
  display: { step: number; display: PyDisplay };
  /** A step started or ended. */
  step: TaskStep;
  /** The execution settled; once per execution. */
  end: { state: TaskState; error: LazyclusterError | null };
}

/** Who hears of a run. */
export interface RunListeners {
  emit<K extends keyof TaskEvents>(event: K, data: TaskEvents[K]): void;
  /** Whether somebody listens to `output`, which costs reading the log. */
  wantsOutput(): boolean;
}

/** @param debug output also goes to this process's stdout. */
export function runListeners(task: string, events: EventEmitter, debug: boolean): RunListeners {
  return {
    wantsOutput: () => debug || events.listenerCount("output") > 0,
    emit: (event, data) => {
      if (debug && event === "output") process.stdout.write((data as TaskEvents["output"]).data);
      try {
        events.emit(event, data);
      } catch (error) {
        // A fault of the user's listener must not touch the execution.
        Environment.logger.error(`a listener of task ${JSON.stringify(task)} threw: ${inspect(error)}`);
      }
    },
  };
}
