/** One execution of a task: its steps in order, its log, its changes, and exactly one end. */
import { type DetachedContext, DetachedTask, isProcess } from "./detached-task";
import { LogWriter, type LoggedSoFar, spoolPath } from "./journal";
import type { Owner, Workplace } from "./owner";
import {
  EngineFailure,
  type ErrorCode,
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
import { runStep } from "./step";

/** [ms] between two reports of a log's growth or a transfer's progress. */
const REPORT_MS = 50;

export class Execution {
  /** Resolves when it has settled; never rejects. */
  readonly settled: Promise<void>;
  private current: TaskRecord;
  private readonly abort = new AbortController();
  private readonly throttle: Throttle;
  /** It goes on without us from then on, if it is to. */
  private readonly begun: Promise<void>;
  private hasBegun: () => void = () => undefined;
  private readonly left: Promise<void>;
  private abandon: () => void = () => undefined;

  constructor(
    private readonly spec: ExecutionSpec,
    readonly owner: Owner,
    private readonly surroundings: DetachedContext,
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
    this.begun = new Promise((resolve) => (this.hasBegun = resolve));
    this.left = new Promise((resolve) => (this.abandon = resolve));
    this.settled = this.run();
  }

  get record(): TaskRecord {
    return this.current;
  }

  /** It outlives its owner. */
  get goesOn(): boolean {
    return this.spec.detach !== null;
  }

  /** What was detached goes on by itself, and it is nothing to us any more; anything else is cancelled. */
  async leave(): Promise<void> {
    if (this.spec.detach === null) return this.cancel();
    await Promise.race([this.begun, this.settled]);
    this.abandon();
    await this.settled;
  }

  /** Resolves when it has ended, by this or otherwise. */
  async cancel(): Promise<void> {
    // It runs on the host whatever we do until we are there.
    if (this.spec.detach?.takeOver) await Promise.race([this.begun, this.settled]);
    this.abort.abort();
    await this.settled;
  }

  private async run(): Promise<void> {
    let log: LogWriter | null = null;
    let detached: DetachedTask | null = null;
    let end: TaskChange | null;
    try {
      const { signal } = this.abort;
      const opened = this.openLog();
      log = opened.log;
      if (this.spec.detach) detached = await DetachedTask.open(this.spec, this.spec.detach, this.context(), signal);
      if (this.spec.detach?.takeOver) {
        const { owner, steps, detach } = this.spec;
        this.context().detached({ name: detach.name, owner, steps, cwd: this.spec.detach.takeOver.cwd });
      }
      const workplace = detached?.workplace ?? (await this.owner.workplace(this.spec.owner.workingDir, signal));
      const left = this.left.then(() => null);
      end = await Promise.race([left, this.runSteps({ workplace, log, detached, logged: opened.soFar })]);
    } catch (error) {
      end = this.endBeforeStart(error);
    }
    if (end === null) {
      await detached?.leave();
      await log?.suspend();
      return;
    }
    // Where its host was not there, it goes on, and so does its log.
    if (this.spec.detach?.takeOver && !detached) await log?.suspend();
    else await log?.close();
    await detached?.close();
    this.throttle.flush();
    this.change(end);
  }

  private openLog(): { log: LogWriter; soFar: LoggedSoFar | null } {
    const grew = (size: number): void => this.throttle.post({ kind: "grew", size });
    const { logFile, detach } = this.spec;
    if (detach?.takeOver) return LogWriter.resume(logFile, this.owner.host, grew);
    return { log: LogWriter.create(logFile, this.owner.host, grew), soFar: null };
  }

  private context(): DetachedContext {
    return {
      ...this.surroundings,
      detached: (detachment) => {
        this.surroundings.detached(detachment);
        this.change({ kind: "detached", name: detachment.name });
        this.hasBegun();
      },
    };
  }

  private async runSteps(stage: Stage): Promise<TaskChange> {
    for (const [index, step] of this.spec.steps.entries()) {
      if (this.abort.signal.aborted) return this.failed(index, step, CANCELLED);
      const { outcome, endedAt } = await this.runOne(index, step, stage);
      this.throttle.flush();
      const reason = outcome.failure?.reason;
      this.change({
        kind: "stepEnded",
        step: index,
        state: reason === undefined ? "done" : stateOf(reason),
        exitCode: outcome.exitCode,
        signal: outcome.signal,
        time: endedAt ?? Date.now(),
      });
      if (outcome.failure) return this.failed(index, step, outcome);
    }
    return { kind: "end", state: "done", failure: null, time: Date.now() };
  }

  private async runOne(
    index: number,
    step: StepSpec,
    stage: Stage,
  ): Promise<{ outcome: StepOutcome; endedAt?: number | null }> {
    const { workplace, log } = stage;
    const started = (time: number): void => this.change({ kind: "stepStarted", step: index, time });
    // Whoever began it has sent the files before.
    if (this.spec.detach?.takeOver && index < this.spec.steps.findIndex(isProcess)) {
      started(this.spec.startedAt);
      return { outcome: DONE, endedAt: this.spec.startedAt };
    }
    const place = {
      cwd: workplace.cwd,
      tag: `${this.spec.owner.id}/${this.spec.id}`,
      env: { ...this.spec.env, WORKING_DIR: workplace.cwd === "" ? workplace.agent.info.home : workplace.cwd },
      scope: this.spec.owner.id,
    };
    let begun = false;
    try {
      const recorded =
        stage.detached && isProcess(step) ? await stage.detached.step(index, place, this.abort.signal) : null;
      started((await recorded?.began) ?? Date.now());
      begun = true;
      const outcome = await runStep(step, {
        ...place,
        workplace,
        processes: recorded ?? workplace.agent,
        signal: this.abort.signal,
        objects: this.surroundings.objects,
        sessions: this.owner.sessions,
        newFile: spoolPath,
        started: (pid) => this.change({ kind: "pid", pid }),
        output: behind(index, stage.logged, (stream, bytes, release) => log.append(index, stream, bytes, release)),
        value: (value) => this.report({ kind: "value", step: index, value, agent: workplace.agent.id }),
        progress: (progress) => this.throttle.post({ kind: "progress", step: index, ...progress }),
      });
      await log.flush();
      return { outcome, endedAt: recorded?.endedAt ?? null };
    } catch (error) {
      if (!begun) started(Date.now());
      const cause = toFailureData(error, this.owner.host);
      const reason = this.reasonOf(error, stage);
      return { outcome: { exitCode: null, signal: null, failure: { reason, what: "", cause } } };
    }
  }

  private reasonOf(error: unknown, { workplace, detached }: Stage): TaskFailureReason {
    const code = error instanceof EngineFailure ? error.data.code : null;
    if (code === "ERR_CANCELLED" || this.abort.signal.aborted) return "cancelled";
    // A recording comes back to its host by itself; what it cannot come back to is lost.
    if (detached) return code !== null && AWAY.has(code) ? "lost" : "failed";
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
    if (data.code === "ERR_TASK_LOST" && first) {
      const failure = { reason: "lost" as const, what: "", cause: data };
      return this.failed(0, first, { exitCode: null, signal: null, failure });
    }
    return { kind: "end", state: "failed", failure: { ...data, task: null }, time };
  }

  private change(change: TaskChange): void {
    this.current = applyChange(this.current, change);
    this.report(change);
  }
}

/** Where its steps run, and what becomes of their output. */
interface Stage {
  readonly workplace: Workplace;
  readonly log: LogWriter;
  readonly detached: DetachedTask | null;
  /** What the log had when it was taken over. */
  readonly logged: LoggedSoFar | null;
}

type Output = (stream: "stdout" | "stderr", bytes: Buffer, release: () => void) => void;

/** What comes behind that which the log has already. */
function behind(step: number, logged: LoggedSoFar | null, output: Output): Output {
  const skip = new Map(logged?.counts);
  return (stream, bytes, release) => {
    const key = `${String(step)} ${stream}`;
    const count = Math.min(skip.get(key) ?? 0, bytes.length);
    if (count > 0) skip.set(key, (skip.get(key) ?? 0) - count);
    if (count < bytes.length) output(stream, bytes.subarray(count), release);
    else release();
  };
}

/** Why a recording cannot be come back to. */
const AWAY: ReadonlySet<ErrorCode> = new Set(["ERR_CONNECTION", "ERR_INVALID_RUNTIME", "ERR_TASK_LOST"]);

const DONE = { exitCode: null, signal: null, failure: null } as const satisfies StepOutcome;

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
