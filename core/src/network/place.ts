/** Where an exposure listens, and where its service is: this machine, or a host. */
import type { EngineFailure } from "../engine/protocol";
import { type AgentClient, type AgentLease, HostPorts, type Ports } from "../host";
import { bootId, networkNamespace } from "../system";
import { MANAGER, Peers } from "./manager-peer";
import { ManagerPorts } from "./manager-ports";

export interface Place {
  /** As messages name it. */
  readonly name: string;
  /** Connects where needed. Rejects EngineFailure. */
  reach(signal: AbortSignal): Promise<Reached>;
}

export type LossListener = (why: EngineFailure | null) => void;

/** A place that can be reached now. */
export interface Reached {
  readonly ports: Ports;
  /** The same text for all that share their ports; empty: unknown. */
  readonly network: string;
  readonly alive: boolean;
  /** Calls once when it cannot be reached any more. Gives what ends that: a listener that stays is kept in memory as long as the place. */
  onLost(listener: LossListener): () => void;
}

/** The machine that we run on. @param acquire gives an agent on it, which tells who connects. */
export function managerPlace(acquire: () => Promise<AgentLease>): Place {
  const reached: Reached = {
    ports: new ManagerPorts(new Peers(acquire)),
    network: readNetwork(),
    alive: true,
    onLost: () => () => undefined,
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
        onLost: lossOf(agent),
        get alive() {
          return agent.alive;
        },
      };
      reached.set(agent, made);
      return made;
    },
  };
}

/** A promise would keep whoever waits for it, however long ago he has lost interest. */
function lossOf(agent: AgentClient): Reached["onLost"] {
  const listeners = new Set<LossListener>();
  let over: { readonly why: EngineFailure | null } | null = null;
  void agent.closed.then((why) => {
    over = { why };
    for (const listener of listeners) listener(why);
    listeners.clear();
  });
  return (listener) => {
    listeners.add(listener);
    const { why } = over ?? { why: null };
    // Never before the listener knows that it listens.
    if (over) queueMicrotask(() => listeners.delete(listener) && listener(why));
    return () => listeners.delete(listener);
  };
}

/** Like the agent's `network` (base/user.py). */
function readNetwork(): string {
  const [boot, namespace] = [bootId(), networkNamespace()];
  return boot === null || namespace === null ? MANAGER : `${boot} ${namespace}`;
}
