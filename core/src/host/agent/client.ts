/** The manager's end of an agent: many operations at once over one channel, heartbeats, and one clear end. */
import { randomUUID } from "crypto";
import { EngineFailure, type HostInfo, type HostSpec } from "../../engine/protocol";
import { type Encodable, type Frame, type FrameDecoder, type Header, WireError, encodeFrameHead } from "../../wire";
import { type Hello, readHello } from "./hello";
import { ATTACHED, type AgentMode, lossBehind, startAgent } from "./start";
import { Operation, type OperationListener } from "./operation";
import { Outbox } from "./outbox";
import type { HostConnection, RemoteProcess, Tunnels } from "../shared/transport";
import { within } from "../shared/within";

/** Silent intervals after which the host is lost. */
const MISSED = 3;
/** [ms] between two heartbeats, at least. */
const LEAST_BEAT_MS = 200;
/** [ms] beyond an interval by which a heartbeat is late only when our own process stood still. */
const STANDSTILL_MS = 1000;
/** [ms] that the bootstrap may take, where the user does not say. */
const START_MS = 30_000;
/** [ms] for an answer to what should take a moment. */
const ANSWER_MS = 60_000;
/** [ms] that a polite end may take. */
const BYE_MS = 1500;
const MAX_ID = 2 ** 31 - 1;
/** What a `ping` carries that somebody waits for; those of the heartbeat carry 0. */
const OURS = 1;

export class AgentClient {
  /** Of this connection, and never of another. */
  readonly id = randomUUID();
  /** Resolves when it is over: null after `close()`, else why. Never rejects. */
  readonly closed: Promise<EngineFailure | null>;
  private readonly operations = new Map<number, Operation>();
  private readonly outbox: Outbox;
  private readonly decoder: FrameDecoder;
  readonly info: HostInfo;
  private nextId = 1;
  /** By the monotonic clock. */
  private heardAt = performance.now();
  private ending: EngineFailure | null | undefined;
  private heartbeat: NodeJS.Timeout | undefined;
  /** Who waits for an answer to a `ping` of theirs, in order. */
  private readonly pings: (() => void)[] = [];
  private reportClosed: (why: EngineFailure | null) => void = () => undefined;

  /** Starts the agent over a connection, which it owns from now on. Rejects EngineFailure, with the connection closed. */
  static async start(
    connection: HostConnection,
    spec: HostSpec,
    signal: AbortSignal,
    mode: AgentMode = ATTACHED,
  ): Promise<AgentClient> {
    try {
      const timeoutMs = spec.connection.connectTimeoutMs ?? START_MS;
      const started = await startAgent(connection, spec, mode, timeoutMs, signal);
      const hello = await readHello(connection, started, timeoutMs, signal);
      return new AgentClient(connection, spec, mode, started.process, hello);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  private constructor(
    private readonly connection: HostConnection,
    private readonly spec: HostSpec,
    private readonly mode: AgentMode,
    private readonly process: RemoteProcess,
    { decoder, info, early }: Hello,
  ) {
    this.decoder = decoder;
    this.info = { ...info, transport: connection.transport };
    this.outbox = new Outbox(process.stdin);
    this.closed = new Promise((resolve) => (this.reportClosed = resolve));
    this.guard(() => early.forEach((frame) => this.dispatch(frame)));
    process.stdout.on("data", (piece: Buffer) => this.receive(piece));
    process.stdout.resume();
    void process.exited.then(async (exit) => {
      // Where it ended with the connection, that is the reason.
      await lossBehind(connection, exit);
      this.lose("the agent there ended");
    });
    void connection.closed.then((why) => this.lose(why?.message ?? "the connection was closed", why));
    this.startHeartbeat();
  }

  get host(): string {
    return this.spec.host;
  }

  /** Null: this way to the host has no port forwarding of its own. */
  get tunnels(): Tunnels | null {
    return this.connection.tunnels ?? null;
  }

  get alive(): boolean {
    return this.ending === undefined;
  }

  /** Starts an operation. Over a connection that is gone it ends at once, as lost. Throws WireError for too large fields. */
  open(op: string, fields: { readonly [field: string]: Encodable }, listener: OperationListener): Operation {
    const id = this.takeId();
    const operation = new Operation(id, this.host, this.outbox, {
      message: (frame) => listener.message(frame),
      ended: (outcome) => {
        listener.ended(outcome);
        this.operations.delete(id);
      },
    });
    if (this.ending !== undefined) {
      const why = this.ending ?? this.failure("the connection was closed");
      queueMicrotask(() => tell(operation, why));
      return operation;
    }
    // Throws when it is too large for a message; then nothing was started.
    operation.post(op, fields);
    this.operations.set(id, operation);
    return operation;
  }

  /**
   * An operation that only asks: resolves with the fields of `done`. Rejects the agent's `error` by `explain`, the loss, or ERR_TIMEOUT when the
   * answer takes longer than `timeoutMs`, also where no keepalive would tell that the host is silent.
   */
  async ask(
    op: string,
    fields: { readonly [field: string]: Encodable },
    explain: (error: Header) => EngineFailure,
    timeoutMs = ANSWER_MS,
  ): Promise<Header> {
    let operation: Operation | null = null;
    const answer = new Promise<Header>((resolve, reject) => {
      operation = this.open(op, fields, {
        message: () => undefined,
        ended: (outcome) => {
          if (outcome instanceof EngineFailure) reject(outcome);
          else if (outcome.header.op === "done") resolve(outcome.header);
          else reject(explain(outcome.header));
        },
      });
    });
    return within(timeoutMs, answer, () => {
      operation?.cancel();
      const message = `${this.host}: the host did not answer within ${String(timeoutMs / 1000)} s (${op}). Check that it is well: a file system there may hang.`;
      throw new EngineFailure({ code: "ERR_TIMEOUT", host: this.host, message });
    });
  }

  /** [ms] of a round trip to the agent, or until the host was lost. */
  async ping(): Promise<number> {
    const start = performance.now();
    if (this.alive) {
      const answered = new Promise<void>((resolve) => {
        this.pings.push(resolve);
        this.outbox.post(encodeFrameHead({ op: "ping", t: OURS }));
      });
      await within(ANSWER_MS, answered, () => undefined);
    }
    return performance.now() - start;
  }

  /**
   * Lets the agent end what it runs and leave, then closes the connection. Idempotent, bounded. Where nothing runs
   * nobody waits for the agent's last moments: it leaves by itself.
   */
  async close(): Promise<void> {
    if (this.ending === undefined) {
      const busy = this.operations.size > 0;
      this.outbox.post(encodeFrameHead({ op: "bye" }));
      if (busy) await within(BYE_MS, this.process.exited, () => undefined);
      this.end(null);
    }
    await this.connection.close();
  }

  private receive(piece: Buffer): void {
    this.heardAt = performance.now();
    this.guard(() => {
      for (const frame of this.decoder.push(piece)) this.dispatch(frame);
    });
  }

  private dispatch(frame: Frame): void {
    const { header } = frame;
    if (header.op === "pong") {
      if (header.integer("t") === OURS) this.pings.shift()?.();
      return;
    }
    // Frames of an operation that ended on our side meanwhile are of no interest.
    this.operations.get(header.integer("id", 1))?.receive(frame);
  }

  private guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      // Whatever it was, it came of what this host sent. All other hosts are served by the same thread.
      const what = error instanceof WireError ? "its agent broke the protocol" : "what it sent could not be taken";
      this.lose(`${what} (${error instanceof Error ? error.message : String(error)})`, error);
    }
  }

  private startHeartbeat(): void {
    if (!this.alive) return;
    const wanted = this.connection.keepaliveIntervalMs;
    // Even without keepalive the agent must hear of us before its lease ends.
    const interval = Math.max(LEAST_BEAT_MS, Math.min(wanted === 0 ? Infinity : wanted, this.spec.leaseMs / 3));
    // A little less than the whole, for timers come late and early.
    const patience = (MISSED - 0.1) * Math.max(LEAST_BEAT_MS, wanted);
    let beatAt = performance.now();
    this.heartbeat = setInterval(() => {
      const now = performance.now();
      // It was us who stood still (a laptop that slept, Ctrl-Z): we have asked for nothing, and not read what came.
      if (now - beatAt > interval + Math.max(interval, STANDSTILL_MS)) this.heardAt = now;
      beatAt = now;
      const silence = now - this.heardAt;
      if (wanted !== 0 && silence >= patience) {
        this.lose(`nothing was heard from it for ${(silence / 1000).toFixed(1)} s`);
        return;
      }
      this.outbox.post(encodeFrameHead({ op: "ping", t: 0 }));
    }, interval);
    this.heartbeat.unref();
  }

  private lose(what: string, cause?: unknown): void {
    if (this.ending !== undefined) return;
    this.end(this.failure(what, cause));
    void this.connection.close();
  }

  private failure(what: string, cause?: unknown): EngineFailure {
    return new EngineFailure(
      {
        code: "ERR_CONNECTION",
        host: this.host,
        message: `${this.host}: the host was lost: ${what}.${this.whatNow}`,
      },
      cause,
    );
  }

  /** A detached agent's tasks are not lost with the connection: who follows them says what becomes of them. */
  private get whatNow(): string {
    return this.mode.kind === "agent"
      ? " What ran there ends by itself; run the task again when the host is back."
      : "";
  }

  private end(why: EngineFailure | null): void {
    if (this.ending !== undefined) return;
    this.ending = why;
    clearInterval(this.heartbeat);
    this.outbox.abandon();
    for (const resolve of this.pings.splice(0)) resolve();
    const outcome = why ?? this.failure("the connection was closed");
    for (const operation of [...this.operations.values()]) tell(operation, outcome);
    this.reportClosed(why);
  }

  private takeId(): number {
    do {
      this.nextId = this.nextId >= MAX_ID ? 1 : this.nextId + 1;
    } while (this.operations.has(this.nextId));
    return this.nextId;
  }
}

/** Who stumbles over it must not keep the others from being told; the thread tells of the fault (worker.ts). */
function tell(operation: Operation, outcome: EngineFailure): void {
  try {
    operation.end(outcome);
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}
