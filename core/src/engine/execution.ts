/** One execution of a task: its steps in order, its log, its changes, and exactly one end. */
import { LogWriter, spoolPath } from "./journal";
import type { Owner, Workplace } from "./owner";
import {
  EngineFailure,
  type ExecutionChange,
  type ExecutionSpec,
  type FailureData,
  type StepSpec,
  type TaskChange,
  type TaskFailure,
  type TaskFailureReason,
  type TaskRecord,
  applyChange,
  startRecord,
  toFailureData,
} from "./protocol";
import { type StepOutcome, sentence } from "./judge";
import type { ObjectStore } from "./objects";
import { runStep } from "./step";

/** [ms] between two reports of a log's growth or a transfer's progress. */
const REPORT_MS = 50;

export class Execution {
  /** Resolves when it has settled; never rejects. */
  readonly settled: Promise<void>;
  private current: TaskRecord;
  private readonly abort = new AbortController();
  private readonly throttle: Throttle;

  constructor(
    private readonly spec: ExecutionSpec,
    readonly owner: Owner,
    private readonly objects: ObjectStore,
    private readonly report: (change: ExecutionChange) => void,
  ) {
    this.current = startRecord({
      id: spec.id,
      name: spec.name,
      host: owner.host,
      logFile: spec.logFile,
      startedAt: spec.startedAt,
      steps: spec.steps.map(({ kind, description }) => ({ kind, description })),
    });
    this.throttle = new Throttle(REPORT_MS, report);
    this.settled = this.run();
  }

  get record(): TaskRecord {
    return this.current;
  }

  /** Resolves when it has ended, by this or otherwise. */
  async cancel(): Promise<void> {
    this.abort.abort();
    await this.settled;
  }

  private async run(): Promise<void> {
    let log: LogWriter | null = null;
    let end: TaskChange;
    try {
      log = LogWriter.create(this.spec.logFile, this.owner.host, (size) => this.throttle.post({ kind: "grew", size }));
      const workplace = await this.owner.workplace(this.spec.owner.workingDir, this.abort.signal);
      end = await this.runSteps(workplace, log);
    } catch (error) {
      end = this.endBeforeStart(error);
    }
    await log?.close();
    this.throttle.flush();
    this.change(end);
  }

  private async runSteps(workplace: Workplace, log: LogWriter): Promise<TaskChange> {
    for (const [index, step] of this.spec.steps.entries()) {
      if (this.abort.signal.aborted) return this.failed(index, step, CANCELLED);
      this.change({ kind: "stepStarted", step: index, time: Date.now() });
      const outcome = await this.runOne(index, step, workplace, log);
      this.throttle.flush();
      const reason = outcome.failure?.reason;
      this.change({
        kind: "stepEnded",
        step: index,
        state: reason === undefined ? "done" : stateOf(reason),
        exitCode: outcome.exitCode,
        signal: outcome.signal,
        time: Date.now(),
      });
      if (outcome.failure) return this.failed(index, step, outcome);
    }
    return { kind: "end", state: "done", failure: null, time: Date.now() };
  }

  private async runOne(index: number, step: StepSpec, workplace: Workplace, log: LogWriter): Promise<StepOutcome> {
    try {
      const outcome = await runStep(step, {
        workplace,
        tag: `${this.spec.owner.id}/${this.spec.id}`,
        env: { ...this.spec.env, WORKING_DIR: workplace.cwd === "" ? workplace.agent.info.home : workplace.cwd },
        scope: this.spec.owner.id,
        signal: this.abort.signal,
        objects: this.objects,
        newFile: spoolPath,
        started: (pid) => this.change({ kind: "pid", pid }),
        output: (stream, bytes, release) => log.append(index, stream, bytes, release),
        value: (value) => this.report({ kind: "value", step: index, value, agent: workplace.agent.id }),
        progress: (progress) => this.throttle.post({ kind: "progress", step: index, ...progress }),
      });
      await log.flush();
      return outcome;
    } catch (error) {
      const cause = toFailureData(error, this.owner.host);
      return { exitCode: null, signal: null, failure: { reason: this.reasonOf(error, workplace), what: "", cause } };
    }
  }

  private reasonOf(error: unknown, workplace: Workplace): TaskFailureReason {
    if (error instanceof EngineFailure && error.data.code === "ERR_CANCELLED") return "cancelled";
    if (this.abort.signal.aborted) return "cancelled";
    return workplace.agent.alive ? "failed" : "lost";
  }

  private failed(index: number, step: StepSpec, outcome: StepOutcome): TaskChange {
    const { reason, what, cause } = outcome.failure ?? CANCELLED.failure;
    // Nothing has run: the error says what is wrong with the host, and no more.
    if (index === 0 && cause?.code === "ERR_PYTHON_VERSION") {
      return { kind: "end", state: "failed", failure: { ...cause, task: null }, time: Date.now() };
    }
    const where = `${this.owner.host}: task ${JSON.stringify(this.spec.name)}, step ${String(index)} (${step.description})`;
    const happened = what === "" ? (cause?.message ?? reason) : what;
    const message = `${where} ${what === "" ? "failed: " : ""}${sentence(happened)} Its output is in ${this.spec.logFile}`;
    const failure: TaskFailure = {
      code: CODES[reason],
      message,
      host: this.owner.host,
      ...(cause?.remoteTraceback === undefined ? {} : { remoteTraceback: cause.remoteTraceback }),
      ...(cause?.sessionLost === undefined ? {} : { sessionLost: cause.sessionLost }),
      ...(cause ? { below: cause } : {}),
      task: { stepIndex: index, reason, exitCode: outcome.exitCode, signal: outcome.signal },
    };
    return { kind: "end", state: stateOf(reason), failure, time: Date.now() };
  }

  private endBeforeStart(error: unknown): TaskChange {
    const data: FailureData = toFailureData(error, this.owner.host);
    const time = Date.now();
    const first = this.spec.steps[0];
    if (this.abort.signal.aborted && first) return this.failed(0, first, CANCELLED);
    return { kind: "end", state: "failed", failure: { ...data, task: null }, time };
  }

  private change(change: TaskChange): void {
    this.current = applyChange(this.current, change);
    this.report(change);
  }
}

const CODES = {
  failed: "ERR_TASK_FAILED",
  timeout: "ERR_TASK_TIMEOUT",
  cancelled: "ERR_TASK_CANCELLED",
  lost: "ERR_TASK_LOST",
} as const;

const CANCELLED = {
  exitCode: null,
  signal: null,
  failure: { reason: "cancelled", what: "was cancelled", cause: null },
} as const satisfies StepOutcome;

function stateOf(reason: TaskFailureReason): "failed" | "cancelled" | "lost" {
  return reason === "timeout" ? "failed" : reason;
}

/** Reports the latest change of each kind at most so often; the last one always. */
class Throttle {
  private readonly latest = new Map<string, ExecutionChange>();
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly intervalMs: number,
    private readonly report: (change: ExecutionChange) => void,
  ) {}

  post(change: ExecutionChange): void {
    if (this.timer) {
      this.latest.set(change.kind, change);
      return;
    }
    this.report(change);
    this.timer = setTimeout(() => this.flush(), this.intervalMs);
  }

  flush(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    for (const change of this.latest.values()) this.report(change);
    this.latest.clear();
  }
}
