/** One shared agent per host and way of getting there. Who uses it holds a lease; with the last one it ends. */
import type { HostSpec, PromptRequest } from "../engine/protocol";
import { AgentClient } from "./agent/client";
import type { AgentLease } from "./agent/lease";
import type { AgentMode } from "./agent/start";
import { connectHost } from "./connect";
import { Shared } from "./shared/lease";

export interface PoolContext {
  prompt(promptId: number, request: PromptRequest): Promise<string[]>;
  log(level: "error" | "warn" | "info" | "debug", message: string): void;
}

export class HostPool {
  private readonly agents = new Shared<AgentClient>();
  /** Those that are connected, by their id. */
  private readonly living = new Map<string, AgentClient>();

  constructor(private readonly context: PoolContext) {}

  /**
   * Rejects EngineFailure; ERR_CANCELLED when the signal was aborted first. A failure is not remembered.
   *
   * @param lane other than 0: a further connection to the same host.
   */
  async acquire(spec: HostSpec, signal: AbortSignal, lane = 0): Promise<AgentLease> {
    const shared = await this.agents.acquire(JSON.stringify([spec, lane]), spec.host, signal, (abort) =>
      this.start(spec, abort),
    );
    return { agent: shared.value, release: () => shared.release() };
  }

  /** An agent of one's own, which does not count here: close it. Rejects EngineFailure. */
  open(spec: HostSpec, mode: AgentMode, signal: AbortSignal): Promise<AgentClient> {
    return this.start(spec, signal, mode);
  }

  /** Null when that connection is gone. */
  find(agent: string): AgentClient | null {
    return this.living.get(agent) ?? null;
  }

  /** Ends every connection, also those being made. */
  close(): Promise<void> {
    return this.agents.close();
  }

  private async start(spec: HostSpec, signal: AbortSignal, mode?: AgentMode): Promise<AgentClient> {
    const { promptId } = spec;
    const connection = await connectHost(spec, {
      signal,
      prompt: promptId === null ? null : (request) => this.context.prompt(promptId, request),
      log: (level, message) => this.context.log(level, message),
      traceProtocol: spec.traceProtocol,
    });
    const agent = await AgentClient.start(connection, spec, signal, mode);
    this.living.set(agent.id, agent);
    void agent.closed.then(() => this.living.delete(agent.id));
    return agent;
  }
}
