/** One shared agent per host and way of getting there. Who uses it holds a lease; with the last one it ends. */
import { EngineFailure, type HostSpec, type PromptRequest } from "../engine/protocol";
import { abortable } from "./abortable";
import { AgentClient } from "./agent-client";
import { connectHost } from "./connect";

export interface PoolContext {
  prompt(promptId: number, request: PromptRequest): Promise<string[]>;
  log(level: "error" | "warn" | "info" | "debug", message: string): void;
}

/** The right to use an agent. Give it back exactly once. */
export interface AgentLease {
  readonly agent: AgentClient;
  /** Resolves when nothing is left on the host, if it was the last lease. Never rejects. */
  release(): Promise<void>;
}

interface Entry {
  readonly ready: Promise<AgentClient>;
  readonly abort: AbortController;
  /** Leases, and those who wait for one. */
  users: number;
}

export class HostPool {
  private readonly entries = new Map<string, Entry>();
  private closing = false;

  constructor(private readonly context: PoolContext) {}

  /**
   * Rejects EngineFailure; ERR_CANCELLED when the signal was aborted first. A failure is not remembered.
   *
   * @param lane other than 0: a further connection to the same host.
   */
  async acquire(spec: HostSpec, signal: AbortSignal, lane = 0): Promise<AgentLease> {
    if (this.closing) throw cancelled(spec.host);
    const key = JSON.stringify([spec, lane]);
    const entry = this.entries.get(key) ?? this.connect(key, spec);
    entry.users += 1;
    let held = true;
    const release = async (): Promise<void> => {
      if (!held) return;
      held = false;
      entry.users -= 1;
      if (entry.users > 0) return;
      // Who comes from now on gets a new one.
      this.forget(key, entry);
      await this.dispose(entry);
    };
    try {
      const agent = await abortable(entry.ready, signal, spec.host);
      return { agent, release };
    } catch (error) {
      void release();
      throw error;
    }
  }

  /** Ends every connection, also those being made. */
  async close(): Promise<void> {
    this.closing = true;
    const entries = [...this.entries.values()];
    this.entries.clear();
    await Promise.all(entries.map((entry) => this.dispose(entry)));
  }

  private connect(key: string, spec: HostSpec): Entry {
    const abort = new AbortController();
    const ready = this.start(spec, abort.signal);
    const entry: Entry = { ready, abort, users: 0 };
    this.entries.set(key, entry);
    const forget = (): void => this.forget(key, entry);
    ready.then((agent) => void agent.closed.then(forget), forget);
    return entry;
  }

  private forget(key: string, entry: Entry): void {
    if (this.entries.get(key) === entry) this.entries.delete(key);
  }

  private async start(spec: HostSpec, signal: AbortSignal): Promise<AgentClient> {
    const { promptId } = spec;
    const connection = await connectHost(spec, {
      signal,
      prompt: promptId === null ? null : (request) => this.context.prompt(promptId, request),
      log: (level, message) => this.context.log(level, message),
      traceProtocol: spec.traceProtocol,
    });
    return AgentClient.start(connection, spec, signal);
  }

  private async dispose(entry: Entry): Promise<void> {
    entry.abort.abort();
    try {
      await (await entry.ready).close();
    } catch {
      // It never came to be, which was told to those who waited for it.
    }
  }
}

function cancelled(host: string): EngineFailure {
  return new EngineFailure({ code: "ERR_CANCELLED", host, message: `${host}: cancelled` });
}
