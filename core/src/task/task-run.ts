/** One execution as the library sees it: the engine's changes arrive here, and everything that waits is told. */
import { EventEmitter } from "events";
import type { EngineClient } from "../engine/client";
import {
  EngineFailure,
  type ExecutionChange,
  type ExecutionSpec,
  type TaskFailure,
  type TaskRecord,
  type ValueData,
  applyChange,
  startRecord,
} from "../engine/protocol";
import { notebookHost } from "../display";
import { log } from "../environment";
import { LazyclusterError, causeOf, errorFromFailure } from "../errors";
import { TaskExecutionError } from "./errors";
import type { PyDisplay } from "../python";
import { cancelWithCell } from "./cell";
import { RunValues } from "./run-values";
import type { RuntimeTask } from "./runtime-task";
import type { RunListeners, TaskEvents } from "./task-events";
import { TaskLog } from "./task-log";
import { TransferRate } from "./transfer-rate";
import type { Run } from "./run";
import { noticeFailure } from "./unnoticed";

/** [bytes] of a failed step that its error carries. */
const ERROR_OUTPUT = 64 * 1024;

export class TaskRun implements Run {
  readonly log: TaskLog;
  /** Resolves when it has ended; never rejects. */
  readonly settled: Promise<void>;
  readonly progress = new Map<number, TaskEvents["progress"]>();
  private readonly rates = new Map<number, TransferRate>();
  error: LazyclusterError | null = null;
  private current: TaskRecord;
  private readonly received: RunValues;
  private readonly changed = new EventEmitter().setMaxListeners(0);
  private changeCount = 0;
  /** The cell of a notebook that started it; null elsewhere. */
  readonly startedIn = notebookHost()?.runningCell ?? null;
  private awaited = false;
  /** Runs of the log that were told to listeners. */
  private relayed = 0;
  /** Of the first value that was none. */
  private unreadable: TaskFailure | null = null;
  private settle: () => void = () => undefined;

  constructor(
    readonly task: RuntimeTask,
    private readonly spec: ExecutionSpec,
    private readonly engine: EngineClient,
    private readonly listeners: RunListeners,
    /** Markup of the host may be shown as such. */
    trusted: boolean,
  ) {
    this.received = new RunValues(spec, trusted);
    this.current = startRecord({
      id: spec.id,
      name: spec.name,
      host: spec.owner.host.host,
      logFile: spec.logFile,
      startedAt: spec.startedAt,
      steps: spec.steps.map(({ kind, description }) => ({ kind, description })),
    });
    this.log = new TaskLog(spec.logFile);
    this.settled = new Promise((resolve) => (this.settle = resolve));
  }

  get record(): TaskRecord {
    return this.current;
  }

  get ended(): boolean {
    return this.current.state !== "running";
  }

  /** @param cancelled nothing of it starts, and it ends as cancelled. */
  start(cancelled = false): void {
    this.engine.execute({ spec: this.spec, cancelled }, (changes) => {
      for (const change of changes) this.apply(change);
      this.changeCount += 1;
      this.changed.emit("changed");
    });
  }

  async cancel(): Promise<void> {
    if (this.ended) return;
    try {
      await this.engine.request("cancel", { id: this.spec.id });
    } catch (error) {
      if (!(error instanceof EngineFailure)) throw error;
      // An engine that ends takes its executions with it, and says so.
      if (error.data.code !== "ERR_CANCELLED") throw errorFromFailure(error.data);
    }
    await this.settled;
  }

  async join(signal?: AbortSignal): Promise<void> {
    noticeFailure(this);
    this.await();
    await untilAborted(this.settled, signal);
    if (this.error) throw this.error;
  }

  get entries(): string[] {
    return this.current.steps.filter((step) => step.state !== "new").map((step) => this.log.entry(step.index));
  }

  async *values(): AsyncGenerator<unknown, void, undefined> {
    for (const [index, step] of this.spec.steps.entries()) {
      if (step.kind === "runFunction") yield await this.value(index);
    }
  }

  get displays(): PyDisplay[] {
    return this.received.displays;
  }

  async discard(): Promise<void> {
    await this.received.discard();
  }

  /** Resolves when it goes on without us, or has ended. */
  async untilDetached(): Promise<void> {
    while (!this.ended && this.current.detached === null) await this.nextChange();
    if (this.current.detached === null) await this.join();
  }

  private await(): void {
    this.awaited = true;
    cancelWithCell(this);
    this.engine.hold(this.spec.id);
  }

  private async value(step: number): Promise<unknown> {
    this.await();
    // A cell that fails may have shown something before, and that comes the same way.
    while (!(this.received.has(step) && this.current.steps[step]?.state === "done")) {
      if (this.ended) {
        noticeFailure(this);
        throw this.error ?? new LazyclusterError(`${this.current.host}: the function gave no value.`);
      }
      await this.nextChange();
    }
    return this.received.load(step);
  }

  get changes(): number {
    return this.changeCount;
  }

  async nextChange(seen = this.changeCount): Promise<void> {
    if (!this.ended && this.changeCount === seen)
      await new Promise<void>((resolve) => this.changed.once("changed", resolve));
  }

  private apply(change: ExecutionChange): void {
    switch (change.kind) {
      case "grew":
        this.relayOutput();
        return;
      case "value":
        this.keepValue(change.step, change.value, change.agent);
        return;
      case "progress": {
        const { kind: _kind, ...reported } = change;
        const rate = this.rates.get(change.step) ?? new TransferRate();
        this.rates.set(change.step, rate);
        const progress = { ...reported, bytesPerSecond: rate.at(performance.now(), change.bytes) };
        this.progress.set(change.step, progress);
        this.listeners.emit("progress", progress);
        return;
      }
      case "stepStarted":
      case "stepEnded":
        this.current = applyChange(this.current, change);
        this.emitStep(change.step);
        return;
      case "detached":
        this.current = applyChange(this.current, change);
        // Whoever waits already still does.
        if (this.awaited) this.engine.hold(this.spec.id);
        return;
      case "cancelWanted":
      case "pid":
        this.current = applyChange(this.current, change);
        return;
      case "end":
        this.current = applyChange(
          this.current,
          change.state === "done" && this.unreadable
            ? { ...change, state: "failed", failure: this.unreadable }
            : change,
        );
        this.error = this.current.failure ? this.makeError(this.current.failure) : null;
        this.settle();
        this.listeners.emit("end", { state: this.current.state, error: this.error });
    }
  }

  private emitStep(index: number): void {
    const step = this.current.steps[index];
    if (step) this.listeners.emit("step", step);
  }

  /** Others read the log too, so this has a position of its own; who listens late hears only what is new. */
  private relayOutput(): void {
    this.withLog(() => {
      const first = this.relayed;
      this.relayed = this.log.length;
      if (!this.listeners.wantsOutput()) return;
      for (const { run, data } of this.log.readFrom(first)) {
        this.listeners.emit("output", { step: run.step, stream: run.stream, data });
      }
    });
  }

  /** A log that cannot be read must not keep the execution from its end. */
  private withLog(read: () => void): void {
    try {
      read();
    } catch (error) {
      log("warn", `${this.current.host}: the log ${this.current.logFile} cannot be read: ${String(error)}`);
    }
  }

  private keepValue(step: number, value: ValueData, agent: string): void {
    try {
      for (const display of this.received.receive(step, value, agent))
        this.listeners.emit("display", { step, display });
    } catch (error) {
      // The engine does not read values, so it takes the step for done; for us, who do, the task has failed.
      this.unreadable ??= {
        code: "ERR_TASK_FAILED",
        host: this.current.host,
        message: error instanceof Error ? error.message : String(error),
        task: { stepIndex: step, reason: "failed", exitCode: null, signal: null },
      };
    }
  }

  private makeError(failure: TaskFailure): LazyclusterError {
    if (!failure.task) return errorFromFailure(failure);
    const { stepIndex, reason, exitCode, signal } = failure.task;
    const cause = causeOf(failure);
    let output = "";
    this.withLog(() => (output = this.log.tail(stepIndex, ERROR_OUTPUT)));
    return new TaskExecutionError(
      {
        task: this.task,
        host: this.current.host,
        stepIndex,
        reason,
        exitCode,
        signal,
        output,
        logFile: this.current.logFile,
        message: withTraceback(failure),
      },
      {
        ...(cause ? { cause } : {}),
        ...(failure.remoteTraceback === undefined ? {} : { remoteTraceback: failure.remoteTraceback }),
      },
    );
  }
}

async function untilAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return work;
  signal.throwIfAborted();
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () =>
      reject(
        signal.reason instanceof Error ? signal.reason : new LazyclusterError("aborted", { code: "ERR_CANCELLED" }),
      );
    signal.addEventListener("abort", onAbort);
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** A notebook shows the message; the lines of the user's own function belong to it. */
function withTraceback(failure: TaskFailure): string {
  return failure.remoteTraceback === undefined ? failure.message : `${failure.message}\n\n${failure.remoteTraceback}`;
}
