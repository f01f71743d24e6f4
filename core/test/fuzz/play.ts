/** Plays a round: starts what its schedule says, when it says so, and writes down what became of it. */
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import {
  Environment,
  type ExecutionType,
  Runtime,
  RuntimeTask,
  type RuntimeTaskType,
  type RuntimeType,
} from "../support";
import { anyPort } from "../ports/services";
import { bytesOf, sha256 } from "./bytes";
import { strike } from "./faults";
import type { ActionPlan, ExposurePlan, FaultPlan, Place, RoundPlan, TaskPlan } from "./plan";
import { type Disturbance, type ExposureOutcome, type RoundRecord, type TaskOutcome, placeOf } from "./record";
import { type Surroundings, addStep, cellCode, stepId } from "./steps";
import type { World } from "./world";

/** [ms] within which everything must have come to an end after the last action; nothing in a round takes a tenth of it. */
const SETTLE_MS = 90_000;
/** [ms] that a slow reader takes for each piece. */
const SLOW_MS = 8;

/** A client on a host. It sends its stdin to a port, and prints the hash of what comes back. */
const CLIENT = `
import hashlib, socket, sys, threading
data = sys.stdin.buffer.read()
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60) as c:
    def send(): c.sendall(data); c.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send); thread.start()
    got = bytearray()
    while True:
        more = c.recv(1 << 16)
        if not more: break
        got += more
    thread.join()
print(hashlib.sha256(got).hexdigest())
`;

export class Game {
  readonly record: RoundRecord;
  private readonly start = performance.now();
  private readonly ports = new Set<number>();

  constructor(
    private readonly world: World,
    private readonly plan: RoundPlan,
    private readonly around: ReadonlyMap<Place, Surroundings>,
    directories: readonly (string | null)[],
  ) {
    const runtimes = plan.runtimes.map(({ place, transport }, index) => {
      const workingDir = directories[index] ?? null;
      return new Runtime(place, { transport, ...(workingDir === null ? {} : { workingDir }) });
    });
    this.record = { plan, runtimes, tasks: [], exposures: [], disturbances: [], surprises: [], story: [] };
    const hear =
      (level: string) =>
      (message: unknown): void =>
        this.tell(`${level}: ${short(String(message))}`);
    Environment.logger = { error: hear("error"), warn: hear("warn"), info: hear("info"), debug: () => undefined };
  }

  /** Resolves when all has ended, or when it is clear that something does not. */
  async play(): Promise<void> {
    const flows: Promise<void>[] = [];
    for (const action of this.plan.actions) {
      await pause(Math.max(0, action.at - this.now()));
      flows.push(this.flow(action).catch((error: unknown) => this.surprise(describe(action), error)));
    }
    const late = new AbortController();
    const settled = Promise.all(flows).then(() => late.abort());
    await Promise.race([settled, pause(SETTLE_MS, null, { signal: late.signal }).catch(() => null)]);
  }

  /** [ms] since the start. */
  now(): number {
    return performance.now() - this.start;
  }

  private tell(what: string): void {
    this.record.story.push(`${this.now().toFixed(0).padStart(6)} ms ${what}`);
  }

  private surprise(what: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.record.surprises.push(`${what}: ${text}`);
    this.tell(`${what}: ${text}`);
  }

  private flow(action: ActionPlan): Promise<void> {
    switch (action.do) {
      case "task":
        return this.runTask(action);
      case "expose":
        return this.expose(action);
      case "close":
      case "cut":
      case "kill":
      case "session":
        return this.disturb(action);
    }
  }

  private async disturb(fault: FaultPlan): Promise<void> {
    const runtime = "runtime" in fault ? fault.runtime : null;
    const disturbance: Disturbance = {
      kind: fault.do === "close" || fault.do === "session" ? fault.do : "broken",
      place: "place" in fault ? fault.place : placeOf(this.plan, fault.runtime),
      runtime,
      session: fault.do === "session" ? fault.name : null,
      from: this.now(),
      until: Infinity,
    };
    this.record.disturbances.push(disturbance);
    this.tell(`begins: ${describe(fault)}`);
    try {
      const did = await this.doFault(fault);
      this.tell(`ended (${did}): ${describe(fault)}`);
    } catch (error) {
      const broken = this.record.disturbances.some(
        ({ kind, place }) => kind === "broken" && place === disturbance.place,
      );
      if (!broken) throw error;
      this.tell(`failed (${short(String(error))}): ${describe(fault)}`);
    } finally {
      disturbance.until = this.now();
    }
  }

  private async doFault(fault: FaultPlan): Promise<string> {
    if (fault.do === "cut" || fault.do === "kill") return String(await strike(this.world, fault));
    const runtime = this.record.runtimes[fault.runtime]!;
    if (fault.do === "close") {
      await runtime.close();
      return "closed";
    }
    const session = runtime.session(fault.name);
    if (fault.what === "interrupt") return String(await session.interrupt());
    await (fault.what === "restart" ? session.restart() : session.close());
    return fault.what;
  }

  private async runTask(plan: TaskPlan): Promise<void> {
    const runtime = this.record.runtimes[plan.runtime]!;
    const around = this.around.get(placeOf(this.plan, plan.runtime))!;
    const abort = new AbortController();
    if (plan.stop?.afterMs === -1) abort.abort(new Error("planned"));
    const startedAt = this.now();
    const execution = begin(runtime, plan, around, abort.signal);
    const { task } = execution;
    const outcome: TaskOutcome = {
      plan,
      id: execution.process.key.split("::").at(-1)!,
      task,
      startedAt,
      endedAt: null,
      ends: 0,
      error: null,
      values: null,
      stop: plan.stop?.afterMs === -1 ? { at: startedAt, state: task.state, error: null, tookMs: 0 } : null,
      heard: new Map(),
      readerError: null,
    };
    this.record.tasks.push(outcome);
    task.on("end", () => (outcome.ends += 1));
    const reading = read(task, plan, outcome).catch((error: unknown) => (outcome.readerError = error));
    const stopping = this.stopLater(plan, outcome, execution, abort);
    try {
      await execution;
    } catch (error) {
      outcome.error = error;
    }
    outcome.endedAt = this.now();
    this.tell(`${plan.name}: ${task.state}${task.error ? ` (${task.error.code}: ${short(task.error.message)})` : ""}`);
    if (task.state === "done" && plan.stop?.how !== "cleanup") outcome.values = await task.returns();
    await Promise.all([reading, stopping]);
  }

  private async stopLater(
    { stop }: TaskPlan,
    outcome: TaskOutcome,
    execution: ExecutionType,
    abort: AbortController,
  ): Promise<void> {
    if (stop === null || stop.afterMs < 0) return;
    await pause(stop.afterMs);
    const { task } = outcome;
    if (task.state !== "running") return;
    const at = this.now();
    const done = (outcome.stop = { at, state: null, error: null, tookMs: null } as NonNullable<TaskOutcome["stop"]>);
    try {
      switch (stop.how) {
        case "abort":
          abort.abort(new Error("planned"));
          await execution.process.join();
          break;
        case "cancel":
          await execution.cancel();
          break;
        case "terminate":
          await execution.process.terminate();
          break;
        case "cleanup":
          await task.cleanup();
      }
      done.state = task.state;
    } catch (error) {
      done.error = error;
    }
    done.tookMs = this.now() - at;
  }

  private async expose(plan: ExposurePlan): Promise<void> {
    const outcome: ExposureOutcome = { plan, startedAt: this.now(), endedAt: null, port: null, error: null };
    this.record.exposures.push(outcome);
    try {
      await this.useExposure(plan, outcome);
    } catch (error) {
      outcome.error = error;
      this.tell(`${plan.name}: ${short(String(error))}`);
    }
    outcome.endedAt = this.now();
  }

  private async useExposure(plan: ExposurePlan, outcome: ExposureOutcome): Promise<void> {
    const runtime = this.record.runtimes[plan.runtime]!;
    const place = placeOf(this.plan, plan.runtime);
    const port = await this.newPort();
    const options = plan.anyUser === null ? {} : { anyUser: plan.anyUser };
    const data = bytesOf(plan.bytes, plan.seed);
    let key: string;
    let got: string;
    if (plan.direction === "to") {
      key = await runtime.exposePortToRuntime(this.world.services.get("localhost")!, port, options);
      outcome.port = { place, port };
      const command = `python3 -c "$FUZZ_CLIENT" ${port}`;
      const task = new RuntimeTask(`${plan.name}-client`).runCommand(command, { stdin: data });
      task.envVariables = { FUZZ_CLIENT: CLIENT };
      await runtime.executeTask(task);
      got = task.executionLog[0]!.trim();
    } else {
      key = await runtime.exposePortFromRuntime(this.world.services.get(place)!, port, options);
      outcome.port = { place: "localhost", port };
      got = sha256(await roundTrip(port, data));
    }
    if (got !== sha256(data)) throw new Error(`through the port came ${got}`);
    if (!plan.stop) return;
    await runtime.stopProcess(key);
    if (await this.world.listens(outcome.port.place, port)) throw new Error("it listens after it was stopped");
  }

  /** One that no other exposure of this round has. */
  private async newPort(): Promise<number> {
    for (;;) {
      const port = await anyPort();
      if (this.ports.has(port)) continue;
      this.ports.add(port);
      return port;
    }
  }
}

function begin(runtime: RuntimeType, plan: TaskPlan, around: Surroundings, signal: AbortSignal): ExecutionType {
  const [first] = plan.steps;
  if (plan.session !== null && first?.kind === "cell") {
    const limit = first.limitMs === null ? {} : { timeoutMs: first.limitMs };
    const code = cellCode(first, stepId(plan, 0), around.ledger);
    return runtime.session(plan.session).run(code, { signal, ...limit });
  }
  const task = new RuntimeTask(plan.name);
  task.envVariables = { FUZZ_LEDGER: around.ledger };
  for (const [index, step] of plan.steps.entries()) addStep(task, step, stepId(plan, index), around);
  return runtime.executeTask(task, { signal, detach: plan.detach });
}

/** Resolves when the reader has all. */
async function read(task: RuntimeTaskType, { reader }: TaskPlan, { heard }: TaskOutcome): Promise<void> {
  const keep = (key: string, data: Buffer): unknown => heard.get(key)?.push(data) ?? heard.set(key, [data]);
  if (reader === "event") task.on("output", ({ step, stream, data }) => keep(`${step} ${stream}`, data));
  if (reader !== "log" && reader !== "slow log") return;
  for await (const data of task.openLog()) {
    keep("all", data);
    if (reader === "slow log") await pause(SLOW_MS);
  }
}

async function roundTrip(port: number, data: Buffer): Promise<Buffer> {
  const socket = connect({ port, host: "127.0.0.1", signal: AbortSignal.timeout(60_000) });
  const pieces: Buffer[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece));
  const ended = once(socket, "end");
  socket.end(data);
  try {
    await ended;
  } finally {
    socket.on("error", () => undefined).destroy();
  }
  return Buffer.concat(pieces);
}

function describe(action: ActionPlan): string {
  return action.do === "task" || action.do === "expose" ? `${action.do} ${action.name}` : JSON.stringify(action);
}

function short(text: string): string {
  const line = text.replace(/\s+/g, " ");
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
