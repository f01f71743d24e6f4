/** What a Runtime or Connection of the library has on its host: a lease on the agent, and a working directory. */
import { posix } from "path";
import {
  type AgentClient,
  type AgentLease,
  type HostPool,
  type OpenLane,
  abortable,
  agentFailure,
  within,
} from "../host";
import { type AnsweredFacts, askFacts } from "./facts";
import { EngineFailure, type HostSpec, type SessionProcess, type WorkingDirSpec } from "./protocol";
import { SessionPlaces } from "./session-places";
import type { Header } from "../wire";

/** [ms] for a folder, which may hold millions of files. */
const REMOVE_MS = 3600_000;
/** [ms] for which a host may clear up when we leave; one that does not answer does it by itself, without us. */
const RELEASE_MS = 5000;

/** Everything that a step needs of the host. */
export interface Workplace {
  readonly agent: AgentClient;
  /** Absolute, or empty: the login directory. */
  readonly cwd: string;
  /** A further connection to the host, for big files; rejects where that needs the user. */
  readonly openLane: OpenLane;
}

export class Owner {
  readonly sessions = new SessionPlaces();
  private lease: AgentLease | null = null;
  private connecting: Promise<AgentClient> | null = null;
  private directory: { readonly agent: AgentClient; readonly key: string; readonly path: Promise<string> } | null =
    null;
  /** Temporary directories; those of a host that was lost are gone already. */
  private temporary: { readonly agent: AgentClient; readonly path: Promise<string> }[] = [];
  /** Files of objects that its calls gave. */
  private readonly kept = new Map<string, { readonly agent: string; readonly path: Uint8Array }>();
  private readonly ending = new AbortController();

  constructor(
    private readonly id: string,
    private readonly spec: HostSpec,
    private readonly pool: HostPool,
  ) {}

  get host(): string {
    return this.spec.host;
  }

  /** Rejects EngineFailure. A failure is not remembered, so the next call tries anew. */
  async agent(signal: AbortSignal): Promise<AgentClient> {
    if (this.lease?.agent.alive) return this.lease.agent;
    this.connecting ??= this.connect().finally(() => (this.connecting = null));
    return abortable(this.connecting, signal, this.host);
  }

  /** Connects, and makes the working directory. Rejects EngineFailure (ERR_PATH_CREATION for the directory). */
  async workplace(workingDir: WorkingDirSpec, signal: AbortSignal): Promise<Workplace> {
    const agent = await this.agent(signal);
    const cwd = await abortable(this.workingDir(agent, workingDir), signal, this.host);
    return { agent, cwd, openLane: (lane) => this.openLane(lane) };
  }

  private openLane(lane: number): Promise<AgentLease> {
    return this.pool.acquire({ ...this.spec, promptId: null }, this.ending.signal, lane);
  }

  /** What its host has. Connects, and makes no directory. */
  async facts(workingDir: WorkingDirSpec, signal: AbortSignal): Promise<AnsweredFacts> {
    return askFacts(await this.agent(signal), workingDir, signal);
  }

  /** Which of these programs steps would not find. */
  async missing(
    names: readonly string[],
    env: Readonly<Record<string, string>>,
    workingDir: WorkingDirSpec,
    signal: AbortSignal,
  ): Promise<string[]> {
    const { agent, cwd } = await this.workplace(workingDir, signal);
    const asked = { names: names.map((name) => Buffer.from(name)), env, cwd };
    const done = await agent.ask("which", asked, (error) => agentFailure(agent.host, error));
    const missing = new Set(done.bytesList("missing").map(String));
    return names.filter((name) => missing.has(name));
  }

  async createTempdir(signal: AbortSignal): Promise<string> {
    return this.makeTemporary(await this.agent(signal));
  }

  /** @param path relative to the working directory. Gives the absolute path. */
  async createDir(path: string, workingDir: WorkingDirSpec, signal: AbortSignal): Promise<string> {
    const { agent, cwd } = await this.workplace(workingDir, signal);
    return makeDirectory(agent, path, cwd);
  }

  /** False when it was not there, or not all of it could be removed. */
  async deleteDir(path: string, workingDir: WorkingDirSpec, signal: AbortSignal): Promise<boolean> {
    const { agent, cwd } = await this.workplace(workingDir, signal);
    try {
      const explain = (error: Header): EngineFailure => agentFailure(agent.host, error);
      const done = await agent.ask("remove", { path, cwd }, explain, REMOVE_MS);
      return done.flag("removed");
    } catch (error) {
      // What the file system there refused.
      if (error instanceof EngineFailure && error.data.code === "ERR_PATH_CREATION") return false;
      throw error;
    }
  }

  /** The file of an object is removed with the owner. */
  keep(agent: string, path: Uint8Array): void {
    this.kept.set(`${agent} ${Buffer.from(path).toString("latin1")}`, { agent, path });
  }

  /** Ends this kept process; there may be none. */
  async endSession({ name, process }: SessionProcess): Promise<void> {
    const agent = this.connected;
    const asked = { scope: this.id, session: name, process };
    await agent?.ask("endsession", asked, (error) => agentFailure(agent.host, error));
  }

  /** As Ctrl-C; false when nothing ran. */
  async interruptSession({ name, process }: SessionProcess): Promise<boolean> {
    const agent = this.connected;
    const asked = { scope: this.id, session: name, process };
    const done = await agent?.ask("interrupt", asked, (error) => agentFailure(agent.host, error));
    return done?.flag("interrupted") ?? false;
  }

  /** Ends what its tasks left running, removes its temporary directories, gives the lease back. */
  async release(): Promise<void> {
    this.ending.abort();
    await this.connecting?.catch(() => undefined);
    const lease = this.lease;
    this.lease = null;
    if (!lease) return;
    const { agent } = lease;
    try {
      if (agent.alive) await within(RELEASE_MS, this.clear(agent), () => undefined);
    } catch (error) {
      // A host that was lost meanwhile cleans up by itself.
      if (agent.alive) throw error;
    } finally {
      this.temporary = [];
      this.kept.clear();
      this.directory = null;
      await lease.release();
    }
  }

  private get connected(): AgentClient | null {
    return this.lease?.agent.alive ? this.lease.agent : null;
  }

  private async connect(): Promise<AgentClient> {
    void this.lease?.release();
    this.lease = null;
    const lease = await this.pool.acquire(this.spec, this.ending.signal);
    this.lease = lease;
    return lease.agent;
  }

  private workingDir(agent: AgentClient, spec: WorkingDirSpec): Promise<string> {
    const key = JSON.stringify(spec);
    if (this.directory?.agent === agent && this.directory.key === key) return this.directory.path;
    const path = spec.kind === "temporary" ? this.makeTemporary(agent) : makeWorkingDir(agent, spec);
    const directory = { agent, key, path };
    this.directory = directory;
    path.catch(() => {
      if (this.directory === directory) this.directory = null;
    });
    return path;
  }

  private makeTemporary(agent: AgentClient): Promise<string> {
    const path = makeTemporary(agent);
    this.temporary.push({ agent, path });
    return path;
  }

  private async clear(agent: AgentClient): Promise<void> {
    await agent.ask("reap", { tag: this.id }, (error) => agentFailure(agent.host, error));
    for (const { path } of [...this.kept.values()].filter((file) => file.agent === agent.id)) {
      await agent.ask("remove", { path, cwd: "" }, (error) => agentFailure(agent.host, error));
    }
    for (const made of this.temporary) {
      // One that was never made was told to who asked for it.
      const path = made.agent === agent ? await made.path.catch(() => null) : null;
      if (path !== null) await agent.ask("remove", { path, cwd: "" }, (error) => agentFailure(agent.host, error));
    }
  }
}

/** Rejects EngineFailure. */
export function makeWorkingDir(agent: AgentClient, spec: WorkingDirSpec): Promise<string> {
  switch (spec.kind) {
    case "temporary":
      return makeTemporary(agent);
    case "given":
      return makeDirectory(agent, spec.path, "");
    case "asIs":
      return Promise.resolve(fromHome(spec.path, agent.info.home));
  }
}

/** Steps see it as a variable, so it is absolute; empty stays empty. */
function fromHome(path: string, home: string): string {
  if (path === "" || path.startsWith("/")) return path;
  return posix.join(home, path.replace(/^~(\/|$)/, ""));
}

async function makeTemporary(agent: AgentClient): Promise<string> {
  const done = await agent.ask("tempdir", {}, (error) => agentFailure(agent.host, error, "ERR_PATH_CREATION"));
  return done.bytes("path").toString("utf8");
}

async function makeDirectory(agent: AgentClient, path: string, cwd: string): Promise<string> {
  const done = await agent.ask("mkdir", { path, cwd }, (error) => {
    const { data } = agentFailure(agent.host, error, "ERR_PATH_CREATION");
    return new EngineFailure({ ...data, path });
  });
  return done.bytes("path").toString("utf8");
}
