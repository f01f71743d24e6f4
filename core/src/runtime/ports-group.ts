/** One service made reachable at many places, on the same port: at all of them or at none. */
import { NoPortsLeftError, PortInUseError } from "../errors";
import { failureOfHosts } from "./hosts-failure";
import {
  PortExposure,
  type PortPlace,
  type PortRoute,
  commonPorts,
  hostNames,
  requirePort,
  requirePorts,
} from "./ports";

export interface PortChoice {
  /** The first that works everywhere is taken. */
  readonly ports: readonly number[];
  /** One was asked for, and no other will do. */
  readonly single: boolean;
}

export interface GroupService extends Pick<PortRoute, "to" | "targetPort" | "anyUser"> {
  /** Where it shall be reachable. */
  readonly places: readonly (PortPlace | null)[];
  readonly choice: PortChoice;
}

/** Rejects PortInUseError of a single port, NoPortsLeftError of a list, InvalidRuntimeError. */
export async function exposeEverywhere(
  service: GroupService,
): Promise<{ port: number; exposures: Map<PortPlace | null, PortExposure> }> {
  const { places, choice } = service;
  const { ports, single } = choice;
  // Of a list, most that are taken are found in one round trip; what happens meanwhile, binding tells.
  const candidates = single ? ports : await commonPorts(places, ports, service);
  for (const port of candidates) {
    const outcomes = await Promise.allSettled(
      places.map(async (at) => [at, await PortExposure.open({ ...service, at, port })] as const),
    );
    const made = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    const failures = outcomes.flatMap((outcome): unknown[] => (outcome.status === "rejected" ? [outcome.reason] : []));
    if (failures.length === 0) return { port, exposures: new Map(made) };
    await Promise.all(made.map(([, exposure]) => exposure.terminate()));
    const others = failures.filter((failure) => !(failure instanceof PortInUseError));
    // A port that is taken counts only where nothing else is wrong: of a list the next one is tried.
    if (others.length > 0 || single) throw failureOfHosts(others.length > 0 ? others : failures, places.length);
  }
  throw new NoPortsLeftError(ports, hostNames(places));
}

/** A port, or a list of them. Throws InvalidArgumentError. */
export function requirePortChoice(value: unknown, what: string): PortChoice {
  return Array.isArray(value)
    ? { ports: requirePorts(value, what), single: false }
    : { ports: [requirePort(value, what)], single: true };
}
