/** One execution of a task: its steps in order, its log, its changes, and exactly one end. */
import { type DetachedContext, DetachedTask, isProcess } from "./detached-task";
import { LogWriter, type LoggedSoFar, spoolPath } from "./journal";
import { within } from "../host";
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

/** [ms] in which the host of a detached task confirms its end, or is away. */
const CONFIRM_MS = 10_000;
/** [ms] in which what an execution had open is closed; a disk may be slow. */
const CLEAR_UP_MS = 120_000;
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
  private detached: DetachedTask | null = null;
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

  /**
   * Resolves when it has ended, by this or otherwise. Rejects EngineFailure when that of a detached one is not confirmed: it runs on, and its
   * host is asked again whenever it is there.
   */
  async cancel(): Promise<void> {
    // It runs on the host whatever we do until we are there.
    if (this.spec.detach?.takeOver) await Promise.race([this.begun, this.settled]);
    this.wantEnd();
    await (this.spec.detach ? within(CONFIRM_MS, this.settled, () => undefined) : this.settled);
    if (this.current.state === "running") throw this.unconfirmed();
  }

  private wantEnd(): void {
    if (this.current.detached !== null && this.current.state === "running" && !this.current.cancelWanted)
      this.change({ kind: "cancelWanted", time: Date.now() });
    this.abort.abort();
  }

  private unconfirmed(): EngineFailure {
    const { host } = this.owner;
    const why = this.detached?.there
      ? `its host did not confirm it within ${String(CONFIRM_MS)} ms`
      : "its host is away, and the task runs on there";
    return new EngineFailure({
      code: "ERR_CONNECTION",
      host,
      message:
        `${host}: task ${JSON.stringify(this.spec.name)} was not cancelled: ${why}. It is asked again whenever somebody who looks after ` +
        "the task finds the host back: this process while it runs, or `lazycluster cancel`.",
    });
  }

  /** Whatever happens, it ends once, and says so; unless it was left to go on. */
  private async run(): Promise<void> {
    const opened: Opened = { log: null };
    let end: EndChange | null = null;
    let left = false;
    try {
      end = await this.perform(opened);
      left = end === null;
    } catch (error) {
      end = this.endBeforeStart(error);
    } finally {
      const late = (): void =>
        this.complain(new Error("its log, or what it had on the host, could not be closed in time"));
      await within(CLEAR_UP_MS, this.clearUp(opened, left), late).catch((error: unknown) => this.complain(error));
      if (!left) this.settle(end ?? this.endBeforeStart(new Error("it ended without a word")));
    }
  }

  /** Null: it goes on without us. */
  private async perform(opened: Opened): Promise<EndChange | null> {
    const { signal } = this.abort;
    const { owner, steps, detach } = this.spec;
    if (!detach?.takeOver) opened.log = LogWriter.create(this.spec.logFile, this.owner.host, this.grew);
    const found = detach ? await DetachedTask.open(this.spec, detach, this.context(), signal) : null;
    // Only now: whoever had it until now wrote its log for as long as the host talked to him.
    const { log, soFar } = opened.log ? { log: opened.log, soFar: null } : await this.resumeLog(found);
    opened.log = log;
    this.detached = found;
    if (detach?.takeOver) {
      const { cwd, cancelWanted } = detach.takeOver;
      this.context().detached({ name: detach.name, owner, steps, cwd });
      if (cancelWanted) this.wantEnd();
    }
    const { detached } = this;
    const workplace = detached?.workplace ?? (await this.owner.workplace(owner.workingDir, signal));
    const left = this.left.then(() => null);
    return Promise.race([left, this.runSteps({ workplace, log, detached, logged: soFar })]);
  }

  private async clearUp({ log }: Opened, left: boolean): Promise<void> {
    const { detached } = this;
    if (left) await detached?.leave();
    // Where its host was not there, or another process has it, it goes on, and so does its log.
    const goesOn = left || (Boolean(this.spec.detach?.takeOver) && !detached) || detached?.isTaken;
    const broken = await (goesOn ? log?.suspend() : log?.close());
    if (broken) this.complain(broken);
    if (!left) await detached?.close();
  }

  private settle(end: EndChange): void {
    this.throttle.flush();
    const open = this.current.steps.find(({ state }) => state === "running");
    // A fault of ours stopped it in the middle.
    if (open && end.state !== "lost") {
      const { time } = end;
      this.change({ kind: "stepEnded", step: open.index, state: "failed", exitCode: null, signal: null, time });
    }
    this.change(end);
  }

  private complain(error: unknown): void {
    const { message } = toFailureData(error, this.owner.host);
    this.surroundings.log("warn", `task ${JSON.stringify(this.spec.name)}: ${message}`);
  }

  /** Where that is not possible, the task is nothing to us. */
  private async resumeLog(found: DetachedTask | null): Promise<{ log: LogWriter; soFar: LoggedSoFar }> {
    try {
      return LogWriter.resume(this.spec.logFile, this.owner.host, this.grew);
    } catch (error) {
      await found?.leave();
      throw error;
    }
  }

  private readonly grew = (size: number): void => this.throttle.post({ kind: "grew", size });

  private context(): DetachedContext {
    return {
      ...this.surroundings,
      detached: (detachment) => {
        this.surroundings.detached(detachment);
        this.change({ kind: "detached", name: detachment.name });
        if (this.abort.signal.aborted) this.wantEnd();
        this.hasBegun();
      },
    };
  }

  private async runSteps(stage: Stage): Promise<EndChange> {
    for (const [index, step] of this.spec.steps.entries()) {
      // What the host runs by itself may have ended before it heard of it.
      if (this.abort.signal.aborted && !stage.detached?.begun) return this.failed(index, step, CANCELLED);
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
      // What goes on without its owner must not be found when that one's processes are ended.
      tag: stage.detached ? this.spec.id : `${this.spec.owner.id}/${this.spec.id}`,
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
    // Nobody has confirmed the end of what runs there.
    if (detached?.isLost || (detached?.begun && code !== null && AWAY.has(code))) return "lost";
    if (code === "ERR_CANCELLED" || this.abort.signal.aborted) return "cancelled";
    // A recording comes back to its host by itself; what it cannot come back to is lost.
    if (detached) return code !== null && AWAY.has(code) ? "lost" : "failed";
    return workplace.agent.alive ? "failed" : "lost";
  }

  private failed(index: number, step: StepSpec, outcome: StepOutcome): EndChange {
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

  private endBeforeStart(error: unknown): EndChange {
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

type EndChange = Extract<TaskChange, { readonly kind: "end" }>;

/** What is to be closed at the end. */
interface Opened {
  log: LogWriter | null;
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
const AWAY: ReadonlySet<ErrorCode> = new Set([
  "ERR_AUTHENTICATION",
  "ERR_CONNECTION",
  "ERR_HOST_KEY",
  "ERR_INVALID_RUNTIME",
  "ERR_TASK_LOST",
]);

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
