/** Where an exposure listens, and where its service is: this machine, or a host. */
import { readFileSync, readlinkSync } from "node:fs";
import type { EngineFailure } from "../engine/protocol";
import { type AgentClient, type AgentLease, HostPorts, type Ports } from "../host";
import { MANAGER, Peers } from "./manager-peer";
import { ManagerPorts } from "./manager-ports";

export interface Place {
  /** As messages name it. */
  readonly name: string;
  /** Connects where needed. Rejects EngineFailure. */
  reach(signal: AbortSignal): Promise<Reached>;
}

/** A place that can be reached now. */
export interface Reached {
  readonly ports: Ports;
  /** The same text for all that share their ports; empty: unknown. */
  readonly network: string;
  readonly alive: boolean;
  /** Resolves when it cannot be reached any more. */
  readonly lost: Promise<EngineFailure | null>;
}

/** The machine that we run on. @param acquire gives an agent on it, which tells who connects. */
export function managerPlace(acquire: () => Promise<AgentLease>): Place {
  const reached: Reached = {
    ports: new ManagerPorts(new Peers(acquire)),
    network: readNetwork(),
    alive: true,
    lost: new Promise(() => undefined),
  };
  return { name: MANAGER, reach: () => Promise.resolve(reached) };
}

/** What has been made of an agent serves all that use it. */
const reached = new WeakMap<AgentClient, Reached>();

/** A host. @param connect gives the agent that there is, or another one after a loss. */
export function hostPlace(name: string, connect: (signal: AbortSignal) => Promise<AgentClient>): Place {
  return {
    name,
    reach: async (signal) => {
      const agent = await connect(signal);
      const known = reached.get(agent);
      if (known) return known;
      const made: Reached = {
        ports: new HostPorts(agent),
        network: agent.info.network,
        lost: agent.closed,
        get alive() {
          return agent.alive;
        },
      };
      reached.set(agent, made);
      return made;
    },
  };
}

/** Like the agent's `network` (system.py). */
function readNetwork(): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot} ${readlinkSync("/proc/self/ns/net")}`;
  } catch {
    return MANAGER;
  }
}
