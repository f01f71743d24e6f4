/** What a command became on a host, as `--json` tells it. */
import type { RuntimeTask } from "../task";

export interface CommandRecord {
  readonly host: string;
  readonly state: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** [ms] */
  readonly durationMs: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Of the manager; null when nothing was started. */
  readonly logFile: string | null;
  /** Why it failed, beside an exit code. */
  readonly error: string | null;
}

export type Capture = Readonly<Record<"stdout" | "stderr", Buffer[]>>;

/** Collects what the task prints from now on. */
export function capture(task: RuntimeTask): Capture {
  const captured: Capture = { stdout: [], stderr: [] };
  task.on("output", ({ stream, data }) => void captured[stream].push(data));
  return captured;
}

export function recordOf(
  host: string,
  task: RuntimeTask,
  captured: Capture | null,
  error: string | null,
): CommandRecord {
  const step = task.steps[0];
  const text = (stream: keyof Capture): string => Buffer.concat(captured?.[stream] ?? []).toString("utf8");
  return {
    host,
    state: task.state,
    exitCode: step?.exitCode ?? null,
    signal: step?.signal ?? null,
    durationMs: task.durationMs,
    stdout: text("stdout"),
    stderr: text("stderr"),
    logFile: task.executionLogFilePath,
    error,
  };
}
