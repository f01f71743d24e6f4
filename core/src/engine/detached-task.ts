/** A task that goes on without us: an agent of its own on the host, and what that records. */
import { type AgentClient, type HostPool, Recording, abortable } from "../host";
import type { ObjectStore } from "./objects";
import { type Workplace, makeWorkingDir } from "./owner";
import { type ProcessPlace, callRequest, commandRequest } from "./process-request";
import type { EngineRecord } from "./journal";
import {
  type ArgumentData,
  type Detachment,
  EngineFailure,
  type ExecutionSpec,
  type HostSpec,
  type StepSpec,
} from "./protocol";

/** [ms] for which a host keeps a task, and what it gave, after the last manager left. */
const LEASE_MS = 24 * 3600 * 1000;

export interface DetachedContext {
  readonly pool: HostPool;
  readonly objects: ObjectStore;
  readonly log: (level: "debug" | "info" | "warn", message: string) => void;
  /** It goes on by itself from now on. */
  readonly detached: (detachment: Detachment) => void;
  /** Who has taken it over from us; null: nobody. */
  readonly takenBy: () => EngineRecord | null;
}

export class DetachedTask {
  private recording: Recording | null = null;
  private readonly held: (() => void)[] = [];
  private taken = false;

  /** Rejects EngineFailure. */
  static async open(
    spec: ExecutionSpec,
    detach: NonNullable<ExecutionSpec["detach"]>,
    context: DetachedContext,
    signal: AbortSignal,
  ): Promise<DetachedTask> {
    const { name, takeOver } = detach;
    const { host, workingDir } = spec.owner;
    const agent = await context.pool.open(host, { kind: takeOver ? "attach" : "detach", name }, signal);
    try {
      const cwd = takeOver?.cwd ?? (await abortable(makeWorkingDir(agent, workingDir), signal, host.host));
      const lanes = { ...host, promptId: null };
      const openLane: Workplace["openLane"] = (lane) => context.pool.acquire(lanes, signal, lane);
      const task = new DetachedTask(spec, name, context, { agent, cwd, openLane });
      if (takeOver) task.follow();
      return task;
    } catch (error) {
      await agent.close();
      throw error;
    }
  }

  private constructor(
    private readonly spec: ExecutionSpec,
    private readonly name: string,
    private readonly context: DetachedContext,
    readonly workplace: Workplace,
  ) {}

  /** The host runs it by itself. */
  get begun(): boolean {
    return this.recording !== null;
  }

  /** The host cannot be come back to, and may run it on. */
  get isLost(): boolean {
    return this.recording?.isLost === true;
  }

  /** Whether its host can be asked now. */
  get there(): boolean {
    return this.recording?.there ?? this.workplace.agent.alive;
  }

  /** What the process of a step is asked for. The first one hands all of them over. Rejects EngineFailure. */
  async step(index: number, place: ProcessPlace, signal: AbortSignal): Promise<RecordedStep> {
    this.recording ??= await this.begin(place, signal);
    return this.recording.step(this.spec.steps.slice(0, index).filter(isProcess).length);
  }

  /** Another process looks after it now: its log is that one's. */
  get isTaken(): boolean {
    return this.taken;
  }

  /** Leaves it to itself. */
  async leave(): Promise<void> {
    if (this.recording) await this.recording.leave();
    else await this.workplace.agent.close();
  }

  /** It has ended, or never began: nothing of it stays on the host. Never rejects. */
  async close(): Promise<void> {
    for (const release of this.held.splice(0)) release();
    if (this.recording) await this.recording.end();
    else await this.workplace.agent.close();
  }

  private async begin(place: ProcessPlace, signal: AbortSignal): Promise<Recording> {
    const { agent, cwd } = this.workplace;
    const inputs = new Map<number, ArgumentData>();
    const steps = [];
    for (const step of this.spec.steps.filter(isProcess)) {
      const { op, fields, input } = await this.request(step, place, agent, signal);
      if (input) inputs.set(steps.length, input);
      steps.push({ ...fields, op, input: input !== null, check: step.kind === "runCommand" ? step.check : true });
    }
    const { id, name, owner } = this.spec;
    const about = Buffer.from(JSON.stringify({ id, name }));
    await Recording.begin(agent, steps, inputs, about, Math.max(LEASE_MS, owner.host.leaseMs));
    this.context.detached({
      name: this.name,
      owner: { ...owner, host: withoutSecrets(owner.host) },
      steps: this.spec.steps.map(withoutInput),
      cwd,
    });
    return this.follow();
  }

  private async request(
    step: ProcessStep,
    place: ProcessPlace,
    agent: AgentClient,
    signal: AbortSignal,
  ): Promise<ReturnType<typeof commandRequest>> {
    if (step.kind === "runCommand") return commandRequest(step, place);
    const held = await this.context.objects.hold(step, agent, signal);
    this.held.push(() => held.release());
    return callRequest(step, place, agent, held.paths);
  }

  private async attach(signal: AbortSignal): Promise<AgentClient> {
    const { host } = this.spec.owner;
    const taker = this.context.takenBy();
    if (taker) {
      this.taken = true;
      throw takenOver(this.spec, taker);
    }
    return this.context.pool.open(host, { kind: "attach", name: this.name }, signal);
  }

  private follow(): Recording {
    const { host } = this.spec.owner;
    this.recording = new Recording(this.workplace.agent, {
      attach: (signal) => this.attach(signal),
      patienceMs: Math.max(LEASE_MS, host.leaseMs),
      log: this.context.log,
    });
    return this.recording;
  }
}

export type RecordedStep = ReturnType<Recording["step"]>;

type ProcessStep = Extract<StepSpec, { kind: "runCommand" | "runFunction" }>;

export function isProcess(step: StepSpec): step is ProcessStep {
  return step.kind === "runCommand" || step.kind === "runFunction";
}

function takenOver({ id, name, owner }: ExecutionSpec, taker: EngineRecord): EngineFailure {
  const { host } = owner.host;
  const message =
    `${host}: task ${JSON.stringify(name)} goes on there, and process ${String(taker.pid)} (${taker.title}) on ${taker.hostname} has taken it over. ` +
    `\`lazycluster logs -f ${id.slice(0, 8)}\` shows it.`;
  return new EngineFailure({ code: "ERR_TASK_LOST", host, message });
}

/** The journal is a file. Who takes over has the user's keys and agent, and asks no questions. */
function withoutSecrets(host: HostSpec): HostSpec {
  const { password: _password, passphrase: _passphrase, ...connection } = host.connection;
  return { ...host, connection, promptId: null };
}

/** The host has it; and bytes would not come back from the journal as they were. */
function withoutInput(step: StepSpec): StepSpec {
  if (step.kind === "runCommand") return { ...step, stdin: null };
  if (step.kind !== "runFunction") return step;
  return { ...step, arguments: null, handles: [] };
}
