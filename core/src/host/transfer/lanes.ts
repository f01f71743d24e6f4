/** The ways on which the ranges of big files travel: the host's one connection, and a few more where the line is long. */
import { EngineFailure } from "../../engine/protocol";
import type { AgentClient } from "../agent/client";
import type { AgentLease } from "../agent/lease";

/** Opens a further connection to the same host; rejects where that needs the user. */
export type OpenLane = (lane: number) => Promise<AgentLease>;
export type RangeJob = (agent: AgentClient) => Promise<void>;

/** Further connections, and from which round trip [ms] and size [bytes] on they pay. */
const MORE = 4;
const LONG_MS = 5;
const WORTH = 16 * 1024 * 1024;
/** Jobs at once on a lane: one on a short line, where more would only delay others. */
const SHORT_JOBS = 1;
const LONG_JOBS = 2;
/** [bytes] of a range: what a lost lane costs at most; on a short line, where there is one lane, as few as possible. */
const SHORT_RANGE = 256 * 1024 * 1024;
const LONG_RANGE = 16 * 1024 * 1024;

interface Lane {
  readonly agent: AgentClient;
  running: number;
  /** Null: the host's one connection. */
  readonly lease: AgentLease | null;
}
interface Waiting {
  readonly job: RangeJob;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** Hosts that let nobody in without asking; they are not asked again. */
const narrow = new WeakSet<AgentClient>();

export class Lanes {
  private readonly lanes: Lane[];
  private readonly queue: Waiting[] = [];
  private opening: Promise<void>[] = [];
  private jobsPerLane = SHORT_JOBS;
  private closed = false;

  constructor(
    private readonly main: AgentClient,
    private readonly open: OpenLane | null,
  ) {
    this.lanes = [{ agent: main, running: 0, lease: null }];
  }

  /** [bytes] of one job, once it is known how long the line is. */
  get rangeSize(): number {
    return this.jobsPerLane === LONG_JOBS ? LONG_RANGE : SHORT_RANGE;
  }

  /** Looks how long the line is, and opens more lanes where that pays. */
  async widen(bytes: number): Promise<void> {
    if (bytes < WORTH || this.opening.length > 0) return;
    const roundTrip = Math.min(await this.main.ping(), await this.main.ping());
    if (roundTrip < LONG_MS) return;
    this.jobsPerLane = LONG_JOBS;
    if (!this.open || narrow.has(this.main)) return;
    const { open } = this;
    this.opening = Array.from({ length: MORE }, async (_, lane) => {
      try {
        const lease = await open(lane + 1);
        if (this.closed) await lease.release();
        else this.lanes.push({ agent: lease.agent, running: 0, lease });
        this.pump();
      } catch (error) {
        // One lane is enough, only slower.
        if (error instanceof EngineFailure && error.data.code === "ERR_AUTHENTICATION") narrow.add(this.main);
      }
    });
  }

  /** Runs a job on a lane that is free. A lane that is lost meanwhile gives its job to another one. */
  run(job: RangeJob): Promise<void> {
    return new Promise((done, failed) => {
      this.queue.push({ job, done, failed });
      this.pump();
    });
  }

  /** Gives the further connections back. */
  async close(): Promise<void> {
    this.closed = true;
    for (const { failed } of this.queue.splice(0)) failed(new Error("the transfer has ended"));
    await Promise.all(this.lanes.map(({ lease }) => lease?.release() ?? Promise.resolve()));
    // Those that are still being opened release themselves; nobody waits for a login.
  }

  private pump(): void {
    // With lanes of their own, big files leave the host's one connection to everybody else.
    const further = this.lanes.filter(({ agent, lease }) => lease && agent.alive);
    const usable = further.length > 0 ? further : this.lanes.filter(({ lease }) => !lease);
    for (const lane of usable) {
      while (lane.running < this.jobsPerLane) {
        const next = this.queue.shift();
        if (!next) return;
        lane.running += 1;
        void this.work(lane, next);
      }
    }
  }

  private async work(lane: Lane, waiting: Waiting): Promise<void> {
    try {
      await waiting.job(lane.agent);
      waiting.done();
    } catch (error) {
      if (lane.lease && !lane.agent.alive && this.main.alive && !this.closed) this.queue.unshift(waiting);
      else waiting.failed(error);
    } finally {
      lane.running -= 1;
      this.pump();
    }
  }
}
