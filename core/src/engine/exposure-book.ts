/** All exposures of an engine. One that leads to the same service on the same port of the same machine is shared. */
import { abortable, portInUse } from "../host";
import { Exposure, type ExposureContext, type Place, type Route, hostPlace } from "../network";
import type { Owner } from "./owner";
import { EngineFailure, type ExposureChange, type ExposureRecord, type ExposureSpec, type OwnerSpec } from "./protocol";

interface Context extends Pick<ExposureContext, "log"> {
  readonly manager: Place;
  owner(spec: OwnerSpec): Owner;
  /** It listens; what becomes of it is told afterwards. */
  opened(spec: ExposureSpec, status: Pick<ExposureRecord, "way" | "interrupted">): void;
  changed(id: string, change: ExposureChange): void;
}

/** One that was asked for. */
interface Holder {
  readonly spec: ExposureSpec;
  readonly at: Place;
  readonly to: Place;
  readonly ended: Promise<void>;
  readonly end: () => void;
}

/** A port of a machine, in use by us. Without exposure: the service itself is there. */
interface Entry {
  readonly service: string;
  /** The first one's places are those of the exposure. */
  holders: Holder[];
  exposure: Exposure | null;
  /** The change that is under way; never rejects. */
  busy: Promise<void>;
}

export class ExposureBook {
  /** By machine and port. */
  private readonly entries = new Map<string, Entry>();
  private readonly holders = new Map<string, { readonly holder: Holder; readonly key: string }>();

  /** Those that are being made. */
  private readonly opening = new Map<Holder, { readonly abort: AbortController; readonly done: Promise<void> }>();

  constructor(private readonly context: Context) {}

  /** Rejects EngineFailure, ERR_PORT_IN_USE among them. */
  async expose(spec: ExposureSpec, signal: AbortSignal): Promise<void> {
    const holder = this.holder(spec);
    const abort = new AbortController();
    const done = this.open(holder, AbortSignal.any([signal, abort.signal]));
    this.opening.set(holder, { abort, done });
    try {
      await done;
    } finally {
      this.opening.delete(holder);
    }
  }

  private async open(holder: Holder, signal: AbortSignal): Promise<void> {
    const { spec } = holder;
    const [at, to] = await Promise.all([holder.at.reach(signal), holder.to.reach(signal)]);
    const key = machinePort(at.network, holder.at, spec.port);
    const service = machinePort(to.network, holder.to, spec.targetPort);
    let known = await this.settled(key, signal);
    while ((this.entries.get(key) ?? null) !== known) known = await this.settled(key, signal);
    if (this.leadsTo(service, key)) throw portInUse(holder.at.name, spec.port);
    if (known) {
      // Whoever insists on a check is not served by a port that has another one.
      const fits = known.exposure === null || known.exposure.route.anyUser === spec.anyUser;
      if (known.service !== service || !fits) throw portInUse(holder.at.name, spec.port);
      known.holders.push(holder);
    } else {
      const exposure = key === service ? null : this.make(key, holder);
      const opening = exposure?.open() ?? Promise.resolve();
      // Who waits for it finds nothing when it failed.
      const busy = opening.catch(() => void this.entries.delete(key));
      this.entries.set(key, { service, holders: [holder], exposure, busy });
      try {
        await abortable(opening, signal, holder.at.name);
      } catch (error) {
        await exposure?.stop();
        await busy;
        throw error;
      }
    }
    this.holders.set(spec.id, { holder, key });
    this.context.opened(spec, this.entries.get(key)?.exposure?.status ?? { way: null, interrupted: null });
  }

  /** What we have there, when nothing is under way with it. */
  private async settled(key: string, signal: AbortSignal): Promise<Entry | null> {
    for (;;) {
      const entry = this.entries.get(key);
      if (!entry) return null;
      const { busy } = entry;
      await abortable(busy, signal, key);
      if (this.entries.get(key) === entry && entry.busy === busy) return entry;
    }
  }

  /** Resolves when it has ended; also of one that is not known (any more). */
  async join(id: string): Promise<void> {
    await this.holders.get(id)?.holder.ended;
  }

  /** Resolves when nothing listens for it any more; false when there is none. */
  async unexpose(id: string): Promise<boolean> {
    const held = this.holders.get(id);
    if (!held) return false;
    this.holders.delete(id);
    await this.leave(held.key, held.holder);
    this.tellEnd(held.holder, null);
    return true;
  }

  /** Ends all that an owner has a part in; all without one. */
  async release(owner: string | null): Promise<void> {
    const isIts = ({ spec }: Holder): boolean => owner === null || spec.at?.id === owner || spec.to?.id === owner;
    const opening = [...this.opening].flatMap(([holder, { abort, done }]) => {
      if (isIts(holder)) abort.abort();
      return isIts(holder) ? [done] : [];
    });
    await Promise.allSettled(opening);
    const its = [...this.holders].filter(([, { holder }]) => isIts(holder));
    await Promise.all(its.map(([id]) => this.unexpose(id)));
  }

  /** Those that are free at the place, or lead to the service already. */
  async free(
    owner: OwnerSpec | null,
    ports: readonly number[],
    service: { readonly to: OwnerSpec | null; readonly targetPort: number } | null,
    signal: AbortSignal,
  ): Promise<number[]> {
    const place = this.place(owner);
    const at = await place.reach(signal);
    const wanted = service && (await this.serviceKey(service, signal));
    const free = new Set(await abortable(at.ports.free(ports), signal, place.name));
    return ports.filter((port) => {
      const key = machinePort(at.network, place, port);
      if (key === wanted) return true;
      if (wanted !== null && this.leadsTo(wanted, key)) return false;
      const entry = this.entries.get(key);
      // One of ours whose host is away holds its port, though nothing listens there now.
      return entry?.exposure ? entry.service === wanted : free.has(port);
    });
  }

  /** Whether a service is an exposure of ours that ends at the port: a connection would go round for ever. */
  private leadsTo(service: string, key: string): boolean {
    let at = service;
    for (let entry = this.entries.get(at); entry?.exposure; entry = this.entries.get(at)) at = entry.service;
    return at === key && service !== key;
  }

  private async serviceKey(
    { to, targetPort }: { readonly to: OwnerSpec | null; readonly targetPort: number },
    signal: AbortSignal,
  ): Promise<string> {
    const place = this.place(to);
    return machinePort((await place.reach(signal)).network, place, targetPort);
  }

  private holder(spec: ExposureSpec): Holder {
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    return { spec, at: this.place(spec.at), to: this.place(spec.to), ended, end };
  }

  private place(spec: OwnerSpec | null): Place {
    if (spec === null) return this.context.manager;
    const owner = this.context.owner(spec);
    return hostPlace(owner.host, (signal) => owner.agent(signal));
  }

  private make(key: string, { spec, at, to }: Holder): Exposure {
    const route: Route = { at, port: spec.port, anyUser: spec.anyUser, to, targetPort: spec.targetPort };
    return new Exposure(route, { log: this.context.log, changed: (change) => this.changed(key, change) });
  }

  private changed(key: string, change: ExposureChange): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    if (change.kind !== "end") {
      for (const { spec } of entry.holders) this.context.changed(spec.id, change);
      return;
    }
    this.entries.delete(key);
    for (const holder of entry.holders) {
      this.holders.delete(holder.spec.id);
      this.tellEnd(holder, change);
    }
  }

  private tellEnd(holder: Holder, change: Extract<ExposureChange, { kind: "end" }> | null): void {
    holder.end();
    this.context.changed(holder.spec.id, change ?? { kind: "end", failure: null });
  }

  /** Whose places the exposure uses passes it on to the next, by whose places it then is made anew. */
  private async leave(key: string, holder: Holder): Promise<void> {
    const entry = this.entries.get(key);
    if (!entry) return;
    const first = entry.holders[0] === holder;
    entry.holders = entry.holders.filter((other) => other !== holder);
    if (!first) return;
    const before = entry.busy;
    entry.busy = (async () => {
      await before;
      await entry.exposure?.stop();
      const next = entry.holders[0];
      if (!next) {
        this.entries.delete(key);
        return;
      }
      if (!entry.exposure) return;
      entry.exposure = this.make(key, next);
      try {
        await entry.exposure.open();
      } catch (error) {
        const { data } = error instanceof EngineFailure ? error : otherFailure(error);
        this.context.log("error", `${next.at.name}: the exposure that was shared has ended: ${data.message}`);
        this.changed(key, { kind: "end", failure: data });
      }
    })();
    await entry.busy;
  }
}

/** Of a machine that does not say who it is, each way there counts as one. */
function machinePort(network: string, place: Place, port: number): string {
  return `${network === "" ? `? ${place.name}` : network} ${String(port)}`;
}

function otherFailure(error: unknown): EngineFailure {
  return new EngineFailure({ code: "ERR_OTHER", message: String(error) }, error);
}
