/** A port of one place that leads to a port of another: kept up through losses, until it is stopped. */
import {
  EngineFailure,
  type ExposureChange,
  type ExposureRecord,
  type ExposureWay,
  toFailureData,
} from "../engine/protocol";
import { ComeBack, type Incoming, type PortListener, type PortStream, breakOff, join, within } from "../host";
import type { Place, Reached } from "./place";

/** [ms] in which a place says whether it listens, or is connected. */
const ANSWER_MS = 60_000;
/** Connections of one exposure at once: a bound on what a host can make us hold. */
const MAX_CONNECTIONS = 10_000;

export interface Route {
  /** Where it listens. */
  readonly at: Place;
  readonly port: number;
  /** Null: as it is fastest. */
  readonly anyUser: boolean | null;
  /** Where the service is. */
  readonly to: Place;
  readonly targetPort: number;
}

export interface ExposureContext {
  changed(change: ExposureChange): void;
  log(level: "debug" | "info" | "warn" | "error", message: string): void;
}

export class Exposure {
  private readonly stopping = new AbortController();
  private readonly streams = new Set<PortStream>();
  /** Ends what listens to each place for its loss. */
  private readonly watched = new Map<Reached, () => void>();
  private connections = 0;
  private at: Reached | null = null;
  private to: Reached | null = null;
  private listener: PortListener | null = null;
  private opened = false;
  private readonly comeBack = new ComeBack();
  private recovering: Promise<void> | null = null;
  private interrupted: string | null = null;
  /** The last that was told. */
  private way: ExposureWay | null = null;

  constructor(
    readonly route: Route,
    private readonly context: ExposureContext,
  ) {}

  /** Listens. Rejects EngineFailure; then there is nothing to stop. */
  async open(): Promise<void> {
    try {
      await this.establish();
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.opened = true;
    this.tellWay();
    // What was lost meanwhile.
    if (!this.isUp()) this.recovering = this.recover(null);
  }

  /** Resolves when nothing listens any more and all connections are broken off. Idempotent. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.unwatch();
    await this.recovering;
    for (const stream of this.streams) breakOff(stream);
    const { listener } = this;
    this.listener = null;
    if (listener && this.at?.alive) await listener.close();
  }

  get status(): Pick<ExposureRecord, "way" | "interrupted"> {
    return { way: this.way, interrupted: this.interrupted };
  }

  private isStopped(): boolean {
    return this.stopping.signal.aborted;
  }

  private isUp(): boolean {
    return this.at?.alive === true && this.to?.alive === true && this.listener !== null;
  }

  /** What is missing of both ends and the listener. One of them may be lost again meanwhile. */
  private async establish(): Promise<void> {
    const { at, to, port, anyUser } = this.route;
    const { signal } = this.stopping;
    if (!this.to?.alive) this.to = this.watch(await to.reach(signal));
    if (this.at?.alive && this.listener) return;
    const reached = this.watch(await at.reach(signal));
    this.at = reached;
    this.listener = null;
    const listening = reached.ports.listen(port, anyUser, (connection) => void this.serve(connection));
    // Who stops does not wait for a host that is silent; what comes late is closed.
    listening.then(
      (listener) => {
        if (this.isStopped() || this.at !== reached) void listener.close();
        else this.listener = listener;
      },
      () => undefined,
    );
    const late = (): never => {
      throw silent(at.name, `it did not say within ${String(ANSWER_MS)} ms whether it listens on port ${String(port)}`);
    };
    await within(ANSWER_MS, listening, late, { signal, host: at.name });
  }

  private watch(place: Reached): Reached {
    if (this.watched.has(place)) return place;
    const lost = (why: EngineFailure | null): void => {
      this.watched.delete(place);
      if (this.isStopped() || (place !== this.at && place !== this.to)) return;
      if (place === this.at) this.listener = null;
      // Whoever establishes it looks afterwards what was lost meanwhile.
      if (this.opened) this.recovering ??= this.recover(why);
    };
    // One that is reached while it is being stopped is not to remember it.
    this.watched.set(place, this.isStopped() ? () => undefined : place.onLost(lost));
    return place;
  }

  private unwatch(): void {
    for (const end of this.watched.values()) end();
    this.watched.clear();
  }

  private async serve(connection: Incoming): Promise<void> {
    this.connections += 1;
    const over = (): void => void (this.connections -= 1);
    let service: PortStream;
    try {
      service = await this.dial();
    } catch (error) {
      this.context.log("debug", `${this.name}: a connection failed: ${messageOf(error)}`);
      connection.refuse();
      over();
      return;
    }
    if (this.isStopped()) {
      connection.refuse();
      breakOff(service);
      over();
      return;
    }
    // A host that forbids to forward says so at the first connection.
    this.tellWay();
    const client = connection.accept();
    this.streams.add(client).add(service);
    join(client, service, () => {
      this.streams.delete(client);
      this.streams.delete(service);
      over();
    });
  }

  private dial(): Promise<PortStream> {
    const { to } = this;
    const { to: place, targetPort } = this.route;
    if (this.isStopped() || !to?.alive) throw new Error(`${place.name} is away`);
    if (this.connections > MAX_CONNECTIONS) throw new Error(`there are ${String(MAX_CONNECTIONS)} already`);
    const dialling = to.ports.dial(targetPort);
    return within(ANSWER_MS, dialling, () => {
      dialling.then(breakOff, () => undefined);
      throw silent(
        place.name,
        `a connection to port ${String(targetPort)} did not stand within ${String(ANSWER_MS)} ms`,
      );
    });
  }

  private async recover(why: EngineFailure | null): Promise<void> {
    const reason = why?.message ?? "the connection was closed";
    this.context.log("warn", `${this.name} is interrupted, and tried again until it is stopped: ${reason}`);
    this.interrupted = reason;
    this.context.changed({ kind: "down", message: reason });
    const attempt = async (): Promise<void> => {
      await this.establish();
      if (!this.isUp()) throw new Error("it was lost again");
    };
    const failed = (error: unknown): void => this.context.log("debug", `${this.name}: ${messageOf(error)}`);
    try {
      do await this.comeBack.run(attempt, this.stopping.signal, failed);
      while (!this.isUp());
    } catch (error) {
      if (!this.isStopped()) this.giveUp(error);
      return;
    }
    this.context.log("info", `${this.name} is there again`);
    // In one go with the look at what is up: a later loss starts another one.
    this.recovering = null;
    this.interrupted = null;
    this.context.changed({ kind: "up" });
    this.tellWay();
  }

  private tellWay(): void {
    const [listener, dialer] = [this.listener?.by, this.to?.ports.dialer];
    if (!listener || !dialer || (listener === this.way?.listener && dialer === this.way.dialer)) return;
    this.way = { listener, dialer };
    this.context.changed({ kind: "way", way: this.way });
  }

  private giveUp(error: unknown): void {
    const failure = toFailureData(error, this.route.at.name);
    this.context.log("error", `${this.name} has ended: ${failure.message}`);
    this.stopping.abort();
    this.unwatch();
    void this.listener?.close();
    for (const stream of this.streams) breakOff(stream);
    this.context.changed({ kind: "end", failure });
  }

  private get name(): string {
    const { at, port, to, targetPort } = this.route;
    return `${at.name}: the exposure of port ${String(targetPort)} of ${to.name} on port ${String(port)}`;
  }
}

function silent(host: string, what: string): EngineFailure {
  return new EngineFailure({ code: "ERR_CONNECTION", host, message: `${host}: ${what}. Check that the host is up.` });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
