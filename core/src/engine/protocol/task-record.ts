/**
 * What is known of one execution of a task, and how each change alters it. Pure: the engine, the library, and whoever
 * reads a journal keep their records by the same function, so they can never disagree.
 */
import type { FailureData, TaskFailureReason } from "./failure";

export type TaskState = "new" | "running" | "done" | "failed" | "cancelled" | "lost";
export type StepKind = "sendFile" | "getFile" | "syncFolder" | "runCommand" | "runFunction";

export interface StepRecord {
  readonly index: number;
  readonly kind: StepKind;
  /** One line for people. */
  readonly description: string;
  readonly state: TaskState;
  /** Of a process that ended by itself. */
  readonly exitCode: number | null;
  /** The signal that ended it, such as `SIGKILL`. */
  readonly signal: string | null;
  /** [ms] since the epoch; null before it started. */
  readonly startedAt: number | null;
  readonly durationMs: number | null;
}

/** Why an execution did not end as `done`. */
export interface TaskFailure extends FailureData {
  /** Null when no step could start for the host's sake: not reachable, no Python, no working directory. */
  readonly task: {
    readonly stepIndex: number;
    readonly reason: TaskFailureReason;
    readonly exitCode: number | null;
    readonly signal: string | null;
  } | null;
}

export interface TaskRecord {
  /** Unique over all engines. */
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly logFile: string;
  readonly state: TaskState;
  readonly startedAt: number;
  readonly durationMs: number | null;
  /** Process id on the host of the step that runs or ran last. */
  readonly pid: number | null;
  readonly steps: readonly StepRecord[];
  readonly failure: TaskFailure | null;
  /** What it is called on its host, once it goes on there without us; null: it ends with us. */
  readonly detached: string | null;
  /** It is to be ended, and its host has not confirmed that: it is asked whenever it is there. */
  readonly cancelWanted: boolean;
}

export type TaskChange =
  | { readonly kind: "stepStarted"; readonly step: number; readonly time: number }
  | { readonly kind: "pid"; readonly pid: number }
  | { readonly kind: "detached"; readonly name: string }
  | { readonly kind: "cancelWanted"; readonly time: number }
  | {
      readonly kind: "stepEnded";
      readonly step: number;
      readonly state: "done" | "failed" | "cancelled" | "lost";
      readonly exitCode: number | null;
      readonly signal: string | null;
      readonly time: number;
    }
  | {
      readonly kind: "end";
      readonly state: "done" | "failed" | "cancelled" | "lost";
      readonly failure: TaskFailure | null;
      readonly time: number;
    };

/** The record of an execution that starts now. */
export function startRecord(
  start: Pick<TaskRecord, "id" | "name" | "host" | "logFile" | "startedAt"> & {
    readonly steps: readonly Pick<StepRecord, "kind" | "description">[];
  },
): TaskRecord {
  return {
    id: start.id,
    name: start.name,
    host: start.host,
    logFile: start.logFile,
    startedAt: start.startedAt,
    state: "running",
    durationMs: null,
    pid: null,
    failure: null,
    detached: null,
    cancelWanted: false,
    steps: start.steps.map(({ kind, description }, index) => ({
      index,
      kind,
      description,
      state: "new",
      exitCode: null,
      signal: null,
      startedAt: null,
      durationMs: null,
    })),
  };
}

/** True when the change is the next one that may happen; what has ended never changes again. */
export function isPossible(record: TaskRecord, change: TaskChange): boolean {
  if (record.state !== "running") return false;
  switch (change.kind) {
    case "stepStarted":
      return (
        record.steps[change.step]?.state === "new" &&
        record.steps.slice(0, change.step).every((step) => step.state === "done")
      );
    case "detached":
      return record.detached === null;
    case "cancelWanted":
      return record.detached !== null && !record.cancelWanted;
    case "pid":
      return record.steps.some((step) => step.state === "running");
    case "stepEnded":
      return record.steps[change.step]?.state === "running";
    case "end":
      // Who loses sight of an execution does not know how its step ended.
      if (change.state === "lost") return true;
      return record.steps.every((step) => (change.state === "done" ? step.state === "done" : step.state !== "running"));
  }
}

/** The record after the change. Throws for one that is not possible, which would be a fault of ours. */
export function applyChange(record: TaskRecord, change: TaskChange): TaskRecord {
  if (!isPossible(record, change)) {
    throw new Error(`task ${record.id} in state ${record.state} cannot take ${JSON.stringify(change)}`);
  }
  switch (change.kind) {
    case "stepStarted":
      return withStep(record, change.step, (step) => ({ ...step, state: "running", startedAt: change.time }));
    case "detached":
      return { ...record, detached: change.name };
    case "cancelWanted":
      return { ...record, cancelWanted: true };
    case "pid":
      return { ...record, pid: change.pid };
    case "stepEnded":
      return withStep(record, change.step, (step) => ({
        ...step,
        state: change.state,
        exitCode: change.exitCode,
        signal: change.signal,
        durationMs: Math.max(0, change.time - (step.startedAt ?? change.time)),
      }));
    case "end":
      return {
        ...record,
        state: change.state,
        failure: change.failure,
        cancelWanted: false,
        durationMs: Math.max(0, change.time - record.startedAt),
        steps: record.steps.map((step) => (step.state === "running" ? { ...step, state: "lost" } : step)),
      };
  }
}

function withStep(record: TaskRecord, index: number, alter: (step: StepRecord) => StepRecord): TaskRecord {
  return { ...record, steps: record.steps.map((step) => (step.index === index ? alter(step) : step)) };
}
