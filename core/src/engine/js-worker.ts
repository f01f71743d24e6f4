/** The program that runs JavaScript functions on a host: an agent gets it with its first call, and keeps it. */
import { type AgentClient, jsWorker } from "../host";
import type { Encodable } from "../wire";
import type { CallSpec } from "./protocol";

const have = new WeakSet<AgentClient>();

/** What the agent is told of the function. */
export function functionField({ fn }: CallSpec, agent: AgentClient): { readonly [field: string]: Encodable } {
  if (fn.kind !== "js") return { ...fn };
  if (have.has(agent)) return { ...fn, worker: null };
  have.add(agent);
  return { ...fn, worker: jsWorker() };
}

/** The program may not have arrived. */
export function forgetWorker(agent: AgentClient): void {
  have.delete(agent);
}
