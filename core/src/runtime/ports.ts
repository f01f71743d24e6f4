/** Ports of hosts made reachable here, and ports of this machine made reachable there. */
import { randomUUID } from "crypto";
import { engineClient } from "../engine/client";
import {
  EngineFailure,
  type ExposureChange,
  type ExposureSpec,
  type FailureData,
  type OwnerSpec,
  type TaskState,
} from "../engine/protocol";
import { InvalidArgumentError, NoPortsLeftError, errorFromFailure } from "../errors";
import { type ProcessHandle, portName, portProcessKey } from "../task";
import { requireFlag, requireOptions, show } from "../validate";
import { callEngine } from "./engine-call";

export interface ExposureOptions {
  /**
   * Who may connect where it listens. True: every user of that machine. False: only processes of our user there, and of root.
   * Default: false on the manager; on a host what is fastest, which is sshd's own listener, and that asks nobody.
   */
  anyUser?: boolean;
}

/** What has a place on a host: a Runtime. */
export interface PortPlace {
  readonly host: string;
  ownerSpec(): OwnerSpec;
}

/** Which port leads where. Places: null is the manager. */
export interface PortRoute {
  readonly at: PortPlace | null;
  readonly port: number;
  readonly to: PortPlace | null;
  readonly targetPort: number;
  readonly anyUser: boolean | null;
}

/** A port exposure. It keeps no process alive, and ends with its Runtime's `cleanup()`. */
export class PortExposure implements ProcessHandle {
  readonly kind = "portExposure";
  readonly key: string;
  readonly pid = null;
  readonly exitCode = null;
  readonly #id = randomUUID();
  /** Also keeps its Runtimes from being forgotten. */
  readonly #route: PortRoute;
  readonly host: string;
  #alive = true;
  #reachable = true;
  #failure: FailureData | null = null;

  /** Listens. Rejects PortInUseError, InvalidRuntimeError. */
  static async open(route: PortRoute): Promise<PortExposure> {
    const exposure = new PortExposure(route);
    try {
      await engineClient().expose({ spec: exposure.#spec() }, (change) => exposure.#changed(change));
    } catch (error) {
      throw error instanceof EngineFailure ? errorFromFailure(error.data) : error;
    }
    return exposure;
  }

  private constructor(route: PortRoute) {
    this.#route = route;
    this.host = (route.at ?? route.to)?.host ?? "localhost";
    this.key = portProcessKey(portName(route.at?.host ?? null, route.port), this.#id);
  }

  get state(): TaskState {
    if (this.#alive) return "running";
    return this.#failure === null ? "done" : "failed";
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** False while a host of it is away; it comes back with the host. */
  get reachable(): boolean {
    return this.#alive && this.#reachable;
  }

  /** Where it listens, on `localhost` or its host. */
  get port(): number {
    return this.#route.port;
  }

  /** What ended it, if it was not stopped: such as a host that refuses the login now. */
  get error(): Error | null {
    return this.#failure && errorFromFailure(this.#failure);
  }

  /** Whether it leads the same way. */
  leads(route: PortRoute): boolean {
    const mine = this.#route;
    return (["at", "port", "to", "targetPort", "anyUser"] as const).every((part) => mine[part] === route[part]);
  }

  async join(): Promise<void> {
    if (this.#alive) await callEngine("joinExposure", { id: this.#id }).catch(() => undefined);
  }

  async terminate(): Promise<void> {
    if (this.#alive) await callEngine("cancel", { id: this.#id });
  }

  #spec(): ExposureSpec {
    const { at, port, to, targetPort, anyUser } = this.#route;
    return {
      id: this.#id,
      at: at?.ownerSpec() ?? null,
      port,
      to: to?.ownerSpec() ?? null,
      targetPort,
      anyUser,
    };
  }

  #changed(change: ExposureChange): void {
    if (change.kind === "end") {
      this.#alive = false;
      this.#failure = change.failure;
    } else if (change.kind !== "way") this.#reachable = change.kind === "up";
  }
}

/** Those of the ports that are free at the place, in their order; for a service, also those that lead to it already. */
export function freePorts(
  place: PortPlace | null,
  ports: readonly number[],
  service: Pick<PortRoute, "to" | "targetPort"> | null = null,
): Promise<number[]> {
  return callEngine("freePorts", {
    owner: place?.ownerSpec() ?? null,
    ports,
    service: service && { to: service.to?.ownerSpec() ?? null, targetPort: service.targetPort },
  });
}

/** The first of the ports that is free at all places. Rejects NoPortsLeftError. */
export async function firstFreePort(places: readonly (PortPlace | null)[], ports: readonly number[]): Promise<number> {
  const [first] = await commonPorts(places, ports);
  if (first === undefined) throw new NoPortsLeftError(ports);
  return first;
}

/** Those of the ports that are free at all places; asked in parallel. */
export async function commonPorts(
  places: readonly (PortPlace | null)[],
  ports: readonly number[],
  service: Pick<PortRoute, "to" | "targetPort"> | null = null,
): Promise<number[]> {
  const free = await Promise.all(places.map(async (place) => new Set(await freePorts(place, ports, service))));
  return ports.filter((port) => free.every((its) => its.has(port)));
}

/** Throws InvalidArgumentError. */
export function requirePort(value: unknown, what: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65535) return value;
  throw new InvalidArgumentError(`${what} must be a port from 1 to 65535, not ${show(value)}.`);
}

/** Throws InvalidArgumentError. An empty list has no free port, which is told when it is asked for. */
export function requirePorts(value: unknown, what: string): number[] {
  if (!Array.isArray(value)) throw new InvalidArgumentError(`${what} takes a list of ports, not ${show(value)}.`);
  return [...new Set(value.map((port) => requirePort(port, `${what}: a port`)))];
}

/** Throws InvalidArgumentError. */
export function requireAnyUser(options: unknown, what: string): boolean | null {
  const { anyUser } = requireOptions(options, ["anyUser"], what);
  return anyUser === undefined ? null : requireFlag(anyUser, `${what}: anyUser`);
}
