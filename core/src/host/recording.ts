/**
 * What a detached agent records of its steps, as the steps' own messages. It is followed from its beginning, whoever
 * began it, and followed on when the connection was lost: the steps know nothing of that.
 */
import { type ArgumentData, EngineFailure } from "../engine/protocol";
import { type Encodable, type Frame, FrameDecoder, WireError } from "../wire";
import type { AgentClient } from "./agent-client";
import { agentFailure } from "./agent-error";
import type { OperationListener } from "./operation";
import { type InputSink, sendInput } from "./step-input";
import type { ProcessHost, ProcessOperation } from "./step-process";

/** [ms] between attempts to get back to a host, the last one again and again. */
const RETRY_MS = [500, 1000, 2000, 5000, 10_000, 30_000];
/** [ms] for which the end of a step that shall stop is awaited while the host answers. */
const STOP_MS = 10_000;

interface Recorded {
  readonly frame: Frame;
  /** Its bytes are gone. */
  readonly release: () => void;
}

/** One of the recorded steps. */
export class Track implements ProcessHost {
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
  ) {
    this.began = new Promise((resolve) => (this.begin = resolve));
  }

  /** What it is asked to do it does already, or has done. */
  open(_op: string, _fields: object, listener: OperationListener): ProcessOperation {
    // Whoever opens it gets the operation first.
    queueMicrotask(() => {
      this.listener = listener;
      for (const recorded of this.early.splice(0)) this.deliver(recorded);
      if (this.outcome instanceof EngineFailure) listener.ended(this.outcome);
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
  readonly attach: () => Promise<AgentClient>;
  /** [ms] after which a host that does not come back is given up. */
  readonly patienceMs: number;
  readonly log: (level: "info" | "warn", message: string) => void;
}

export class Recording {
  /** Resolves when the recording is complete and was read, or was given up, or left. Never rejects. */
  readonly over: Promise<void>;
  private readonly tracks = new Map<number, Track>();
  private readonly decoder = new FrameDecoder();
  private offset = 0;
  private left = false;
  private stopping = false;
  /** Nothing of it runs any more. */
  private complete = false;
  private failure: EngineFailure | null = null;
  private wake: () => void = () => undefined;

  /** Hands the steps over; from then on nobody needs to stay. Rejects EngineFailure. */
  static async begin(
    agent: AgentClient,
    steps: readonly { readonly [field: string]: Encodable }[],
    inputs: ReadonlyMap<number, ArgumentData>,
    about: Uint8Array,
    leaseMs: number,
  ): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const operation = agent.open(
        "record",
        { steps: [...steps], lease: leaseMs, about },
        {
          message: () => undefined,
          ended: (outcome) => {
            if (outcome instanceof EngineFailure) reject(outcome);
            else if (outcome.header.op === "done") resolve();
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
    this.over = this.follow();
  }

  /** What a step's process is asked for. @param step among the recorded ones, from 0. */
  step(step: number): Track {
    return this.track(step);
  }

  /** Stops following, and lets the host go on. */
  async leave(): Promise<void> {
    this.left = true;
    this.wake();
    await this.agent.close();
    await this.over;
  }

  /** Ends what may still run, and lets the host forget it all. Never rejects. */
  async end(): Promise<void> {
    if (!this.complete) {
      await this.askToStop();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, STOP_MS)));
      await Promise.race([this.over, late]);
      clearTimeout(timer);
    }
    if (this.agent.alive) await this.agent.ask("forget", {}, plain(this.agent)).catch(() => undefined);
    this.left = true;
    this.wake();
    await this.agent.close();
  }

  private async follow(): Promise<void> {
    for (;;) {
      try {
        await this.followOnce();
        if (!this.complete) this.giveUp(this.withoutEnd());
        return;
      } catch (error) {
        if (!(error instanceof EngineFailure)) throw error;
        if (this.left) return;
        if (this.agent.alive) {
          this.giveUp(error);
          return;
        }
        this.options.log("warn", `${error.message} What was detached there goes on; it is looked for again.`);
      }
      if (!(await this.comeBack())) return;
    }
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
    // Credit of the whole is returned with the last of what came in it.
    let owed = 1;
    const release = (): void => {
      owed -= 1;
      if (owed === 0) granted();
    };
    for (const piece of outer.pieces) {
      this.offset += piece.length;
      for (const frame of this.decoder.push(piece)) {
        const id = frame.header.integer("id");
        if (frame.header.op === "over") this.finish(frame);
        else {
          owed += 1;
          this.track(id - 1).receive({ frame, release });
        }
      }
    }
    release();
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

  private giveUp(failure: EngineFailure): void {
    this.failure = failure;
    for (const track of this.tracks.values()) track.fail(failure);
  }

  private track(step: number): Track {
    const known = this.tracks.get(step);
    if (known) return known;
    const track = new Track(this.agent.host, () => this.stop());
    this.tracks.set(step, track);
    if (this.failure) track.fail(this.failure);
    return track;
  }

  private stop(): void {
    if (this.stopping) return;
    this.stopping = true;
    void this.askToStop();
    this.wake();
    setTimeout(() => {
      const { host } = this.agent;
      const message = `${host}: cancelled; the host did not confirm it within ${String(STOP_MS)} ms, so it may go on there until its lease ends.`;
      this.giveUp(new EngineFailure({ code: "ERR_CANCELLED", host, message }));
    }, STOP_MS).unref();
  }

  private async askToStop(): Promise<void> {
    // Without a connection it is asked again over the next one.
    if (this.agent.alive) await this.agent.ask("stop", {}, plain(this.agent)).catch(() => undefined);
  }

  /** False when it is given up. */
  private async comeBack(): Promise<boolean> {
    const deadline = performance.now() + this.options.patienceMs;
    for (let attempt = 0; ; attempt += 1) {
      await this.pause(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)] ?? 0);
      if (this.left || this.failure) return false;
      try {
        this.agent = await this.options.attach();
        this.options.log("info", `${this.agent.host}: what was detached there was found again.`);
        return true;
      } catch (error) {
        if (!(error instanceof EngineFailure)) throw error;
        // A host that answers, and has it no more, will not have it later either.
        if (error.data.code === "ERR_CONNECTION" && performance.now() < deadline) continue;
        this.giveUp(error);
        return false;
      }
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function plain(agent: AgentClient): (error: Frame["header"]) => EngineFailure {
  return (error) => agentFailure(agent.host, error);
}
