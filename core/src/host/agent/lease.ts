import type { AgentClient } from "./client";

/** The right to use an agent. Give it back exactly once. */
export interface AgentLease {
  readonly agent: AgentClient;
  /** Resolves when nothing is left on the host, if it was the last lease. Never rejects. */
  release(): Promise<void>;
}
