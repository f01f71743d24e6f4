/**
 * What a detached agent records of its steps, as the steps' own messages. It is followed from its beginning, whoever
 * began it, and followed on when the connection was lost: the steps know nothing of that.
 */
import { type ArgumentData, EngineFailure, toFailureData } from "../../engine/protocol";
import { type Encodable, type Frame, FrameDecoder, WireError } from "../../wire";
import type { AgentClient } from "./client";
import { agentFailure } from "./error";
import { ComeBack, isFinal } from "../shared/come-back";
import type { OperationListener } from "./operation";
import { type InputSink, sendInput } from "./step-input";
import type { ProcessHost, ProcessOperation } from "./step-process";
import { within } from "../shared/within";

/** [ms] for which the end of a step that shall stop is awaited while the host answers. */
const STOP_MS = 10_000;

interface Recorded {
  readonly frame: Frame;
  /** Its bytes are gone. */
  readonly release: () => void;
}

/** One of the recorded steps. */
export class Track implements ProcessHost {
  readonly recorded = true;
  private readonly early: Recorded[] = [];
  private listener: OperationListener | null = null;
  private readonly unreleased: (() => void)[] = [];
  private outcome: Frame | EngineFailure | null = null;
  /** [ms] since the epoch, by the host's clock: when it began. Never rejects. */
  readonly began: Promise<number>;
  /** [ms] since the epoch, by the host's clock; null before. */
  endedAt: number | null = null;
  private begin: (time: number) => void = () => undefined;

  constructor(
    readonly host: string,
    private readonly stop: () => void,
    /** What was recorded cannot be read. */
    private readonly broken: (error: unknown) => void,
  ) {
    this.began = new Promise((resolve) => (this.begin = resolve));
  }

  /** What it is asked to do it does already, or has done. */
  open(_op: string, _fields: object, listener: OperationListener): ProcessOperation {
    // Whoever opens it gets the operation first.
    queueMicrotask(() => {
      this.listener = listener;
      const before = this.outcome;
      try {
        for (const recorded of this.early.splice(0)) this.deliver(recorded);
      } catch (error) {
        this.broken(error);
      }
      if (before instanceof EngineFailure && this.outcome === before) listener.ended(before);
    });
    return {
      grant: () => this.unreleased.shift()?.(),
      cancel: () => this.stop(),
      send: () => Promise.resolve(false),
    };
  }

  receive(recorded: Recorded): void {
    const { header } = recorded.frame;
    if (header.op === "begin") {
      this.begin(header.integer("time"));
      recorded.release();
    } else if (this.outcome) recorded.release();
    else if (this.listener) this.deliver(recorded);
    else this.early.push(recorded);
  }

  /** It will hear nothing more. */
  fail(failure: EngineFailure): void {
    if (this.outcome) return;
    this.outcome = failure;
    this.begin(Date.now());
    this.listener?.ended(failure);
  }

  private deliver({ frame, release }: Recorded): void {
    switch (frame.header.op) {
      case "exit":
      case "error":
        release();
        this.outcome = frame;
        this.endedAt = frame.header.integer("time");
        this.listener?.ended(frame);
        break;
      case "data":
        this.unreleased.push(release);
        this.listener?.message(frame);
        break;
      default:
        release();
        this.listener?.message(frame);
    }
  }
}

export interface RecordingOptions {
  /** Gets back to the detached agent. Rejects EngineFailure. */
  readonly attach: (signal: AbortSignal) => Promise<AgentClient>;
  /** [ms] after which a host that does not come back is given up. */
  readonly patienceMs: number;
  readonly log: (level: "debug" | "info" | "warn", message: string) => void;
}

export class Recording {
  /** Resolves when the recording is complete and was read, or was given up, or left. Never rejects. */
  readonly over: Promise<void>;
  private readonly tracks = new Map<number, Track>();
  private readonly decoder = new FrameDecoder();
  private readonly comeBack: ComeBack;
  private offset = 0;
  private readonly leaving = new AbortController();
  private stopping = false;
  /** Nothing of it runs any more. */
  private complete = false;
  private failure: EngineFailure | null = null;
  private lost = false;

  /**
   * Hands the steps over; from then on nobody needs to stay. Rejects EngineFailure, unless the host may have all of them: one that was lost
   * before it could say so runs them, and who follows them finds out.
   */
  static async begin(
    agent: AgentClient,
    steps: readonly { readonly [field: string]: Encodable }[],
    inputs: ReadonlyMap<number, ArgumentData>,
    about: Uint8Array,
    leaseMs: number,
  ): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      let isSent = false;
      const operation = agent.open(
        "record",
        { steps: [...steps], lease: leaseMs, about },
        {
          message: () => undefined,
          ended: (outcome) => {
            if (outcome instanceof EngineFailure) {
              if (isSent && outcome.data.code === "ERR_CONNECTION") resolve();
              else reject(outcome);
            } else if (outcome.header.op === "done") resolve();
            else reject(agentFailure(agent.host, outcome.header));
          },
        },
      );
      const sendInputs = async (): Promise<void> => {
        for (const [step, input] of inputs) {
          // The number of the step takes the place of the stream.
          const send: InputSink["send"] = (op, fields, payload) => operation.send(op, { ...fields, s: step }, payload);
          await sendInput({ send }, input, agent.host, () => undefined);
        }
        isSent = true;
      };
      sendInputs().catch((error: unknown) => {
        operation.cancel();
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
  }

  constructor(
    private agent: AgentClient,
    private readonly options: RecordingOptions,
  ) {
    this.comeBack = new ComeBack(options.patienceMs);
    this.over = this.follow();
  }

  /** What a step's process is asked for. @param step among the recorded ones, from 0. */
  step(step: number): Track {
    return this.track(step);
  }

  /** Whether its host can be asked now. */
  get there(): boolean {
    return this.agent.alive;
  }

  /** It was given up, for whatever reason, and may run on. */
  get isLost(): boolean {
    return this.lost;
  }

  /** Stops following, and lets the host go on. */
  async leave(): Promise<void> {
    this.leaving.abort();
    await this.agent.close();
    await this.over;
  }

  /** Ends what may still run, and lets the host forget it all. Never rejects. */
  async end(): Promise<void> {
    if (!this.complete) {
      await this.askToStop();
      await within(STOP_MS, this.over, () => undefined);
    }
    if (this.agent.alive) await this.agent.ask("forget", {}, plain(this.agent)).catch(() => undefined);
    this.leaving.abort();
    await this.agent.close();
  }

  private async follow(): Promise<void> {
    while (!this.isLeft()) {
      try {
        await this.followOnce();
        if (!this.complete) this.giveUp(this.withoutEnd());
        return;
      } catch (error) {
        if (this.isLeft() || this.failure) return;
        if (isFinal(error)) {
          this.lose(error);
          return;
        }
        this.options.log("warn", `${messageOf(error)} What was detached there goes on; it is looked for again.`);
      }
      try {
        await this.agent.close();
        const failed = (error: unknown): void => this.options.log("debug", messageOf(error));
        await this.comeBack.run(() => this.attach(), this.leaving.signal, failed);
      } catch (error) {
        if (!this.isLeft()) this.lose(error);
        return;
      }
    }
  }

  private isLeft(): boolean {
    return this.leaving.signal.aborted;
  }

  private async attach(): Promise<void> {
    const agent = await this.options.attach(this.leaving.signal);
    if (this.isLeft()) {
      await agent.close();
      return;
    }
    this.agent = agent;
    this.options.log("info", `${agent.host}: what was detached there was found again.`);
  }

  /** Resolves at the end of the recording. Rejects EngineFailure. */
  private followOnce(): Promise<void> {
    const { agent } = this;
    if (this.stopping) void this.askToStop();
    return new Promise((resolve, reject) => {
      const operation = agent.open(
        "follow",
        { from: this.offset },
        {
          message: (frame) => this.read(frame, () => operation.grant(frame.size)),
          ended: (outcome) => {
            if (outcome instanceof EngineFailure) reject(outcome);
            else if (outcome.header.op === "done") resolve();
            else reject(agentFailure(agent.host, outcome.header));
          },
        },
      );
    });
  }

  private read(outer: Frame, granted: () => void): void {
    if (outer.header.op !== "data") throw new WireError(`an unexpected ${outer.header.op}`);
    // What cannot be read is not read on.
    if (this.failure) {
      granted();
      return;
    }
    // Credit of the whole is returned with the last of what came in it.
    let owed = 1;
    const release = (): void => {
      owed -= 1;
      if (owed === 0) granted();
    };
    for (const piece of outer.pieces) {
      this.offset += piece.length;
      try {
        for (const frame of this.decoder.push(piece)) this.pass(frame, () => ((owed += 1), release));
      } catch (error) {
        this.broken(error);
      }
    }
    release();
  }

  private pass(frame: Frame, owe: () => () => void): void {
    if (this.failure) return;
    const id = frame.header.integer("id");
    if (frame.header.op === "over") {
      this.finish(frame);
      return;
    }
    // A stop that came between two steps has stopped nothing.
    if (frame.header.op === "begin" && this.stopping) void this.askToStop();
    this.track(id - 1).receive({ frame, release: owe() });
  }

  /** It would be the same from any beginning, so nobody can say what becomes of the steps. */
  private broken(error: unknown): void {
    const { host } = this.agent;
    const why = `${host}: what was recorded of the detached task cannot be read (${messageOf(error)}).`;
    this.giveUp(new EngineFailure({ code: "ERR_TASK_LOST", host, message: why }, error));
  }

  /** The tracks of steps that never began end with it. */
  private finish(frame: Frame): void {
    this.complete = true;
    const failure = frame.header.optionalMap("failure");
    const message = failure?.get("message");
    this.giveUp(
      new EngineFailure({
        code: "ERR_OTHER",
        host: this.agent.host,
        message: `${this.agent.host}: ${typeof message === "string" ? message : "the step did not begin"}`,
      }),
    );
  }

  private withoutEnd(): EngineFailure {
    const { host } = this.agent;
    const message = `${host}: the task has ended, but how could not be recorded there. Make room on the file system of its /tmp.`;
    return new EngineFailure({ code: "ERR_OTHER", host, message });
  }

  private lose(error: unknown): void {
    this.lost = true;
    this.giveUp(toFailure(error, this.agent.host));
  }

  private giveUp(failure: EngineFailure): void {
    this.failure = failure;
    for (const track of this.tracks.values()) track.fail(failure);
  }

  private track(step: number): Track {
    const known = this.tracks.get(step);
    if (known) return known;
    const stop = (): void => this.stop();
    const track = new Track(this.agent.host, stop, (error) => this.broken(error));
    this.tracks.set(step, track);
    if (this.failure) track.fail(this.failure);
    return track;
  }

  /** Until the host confirms it, it is asked again whenever it is back. */
  private stop(): void {
    if (this.stopping) return;
    this.stopping = true;
    void this.askToStop();
  }

  private async askToStop(): Promise<void> {
    // Without a connection it is asked again over the next one.
    if (this.agent.alive) await this.agent.ask("stop", {}, plain(this.agent)).catch(() => undefined);
  }
}

function plain(agent: AgentClient): (error: Frame["header"]) => EngineFailure {
  return (error) => agentFailure(agent.host, error);
}

function toFailure(error: unknown, host: string): EngineFailure {
  return error instanceof EngineFailure ? error : new EngineFailure(toFailureData(error, host), error);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
