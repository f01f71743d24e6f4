/** The engine: takes requests, runs executions, and tells its client and its journal what becomes of them. */
import { randomUUID } from "crypto";
import { setMaxListeners } from "events";
import { hostname } from "os";
import { HostPool, type PoolContext } from "../host";
import { ControlServer } from "./control-server";
import { diagnose } from "./diagnose";
import { Execution } from "./execution";
import { ExposureBook } from "./exposure-book";
import { JournalWriter, lastHolder, ownIdentity, spoolPath } from "./journal";
import { managerPlace } from "../network";
import { ObjectStore } from "./objects";
import { Owner } from "./owner";
import { QuietCall, closed } from "./quiet-call";
import {
  type Detachment,
  EngineFailure,
  type ExecutionChange,
  type ExecutionSpec,
  type ExposureChange,
  type ExposureRecord,
  type ExposureSpec,
  type HostSpec,
  type OwnerSpec,
  type RequestKind,
  type Requests,
  type TaskChange,
} from "./protocol";

export interface EngineClientPort extends PoolContext {
  changed(execution: string, change: ExecutionChange): void;
  callOutput(call: string, stream: "stdout" | "stderr", data: Uint8Array): void;
  exposureChanged(exposure: string, change: ExposureChange): void;
}

/** This machine as a host, with the interpreter that everybody has. */
const LOCALHOST: HostSpec = {
  host: "localhost",
  transport: "local",
  connection: {},
  promptId: null,
  python: "python3",
  loginEnv: false,
  leaseMs: 60_000,
  sshConfigFile: null,
  traceProtocol: false,
};

type Handlers = { readonly [K in RequestKind]: (body: Requests[K]["in"]) => Promise<Requests[K]["out"]> };

export class Engine {
  private readonly pool: HostPool;
  private readonly owners = new Map<string, Owner>();
  private readonly objects: ObjectStore;
  private readonly executions = new Map<string, Execution>();
  private readonly calls = new Map<string, QuietCall>();
  private readonly exposures: ExposureBook;
  private readonly stopping = new AbortController();
  private journal: JournalWriter | null = null;
  private control: ControlServer | null = null;

  /** @param title what the process calls itself, for people. */
  constructor(
    private readonly client: EngineClientPort,
    private readonly title: string,
  ) {
    this.pool = new HostPool(client);
    this.objects = new ObjectStore((id) => this.pool.find(id), spoolPath);
    this.exposures = new ExposureBook({
      manager: managerPlace(() => this.pool.acquire(LOCALHOST, this.signal)),
      owner: (spec) => this.owner(spec),
      opened: (spec, status) => this.journalExposure(spec, status),
      changed: (id, change) => {
        this.journal?.write({ time: Date.now(), exposure: id, change });
        client.exposureChanged(id, change);
      },
      log: (level, message) => client.log(level, message),
    });
    // Everything that waits for a host listens to it.
    setMaxListeners(0, this.stopping.signal);
  }

  /** Rejects EngineFailure, or whatever went wrong inside. */
  async handle<K extends RequestKind>(kind: K, body: Requests[K]["in"]): Promise<Requests[K]["out"]> {
    if (this.stopping.signal.aborted && kind !== "shutdown") {
      throw new EngineFailure({ code: "ERR_CANCELLED", message: "the engine is shutting down" });
    }
    const handler: Handlers[K] = this.handlers[kind];
    return handler(body);
  }

  private readonly handlers: Handlers = {
    connect: async ({ owner }) => (await this.owner(owner).workplace(owner.workingDir, this.signal)).agent.info,
    diagnose: ({ owner }) => diagnose(owner, this.client, this.signal),
    facts: async ({ owner }) => {
      const { facts, notes } = await this.owner(owner).facts(owner.workingDir, this.signal);
      for (const note of notes) this.client.log("warn", `${owner.host.host}: ${note}`);
      return facts;
    },
    missing: ({ owner, names, env }) => this.owner(owner).missing(names, env, owner.workingDir, this.signal),
    workingDir: async ({ owner }) => (await this.owner(owner).workplace(owner.workingDir, this.signal)).cwd,
    createTempdir: ({ owner }) => this.owner(owner).createTempdir(this.signal),
    createDir: ({ owner, path }) => this.owner(owner).createDir(path, owner.workingDir, this.signal),
    deleteDir: ({ owner, path }) => this.owner(owner).deleteDir(path, owner.workingDir, this.signal),
    execute: ({ spec, cancelled }) => {
      this.execute(spec);
      // What became of it is the execution's to tell.
      if (cancelled)
        this.executions
          .get(spec.id)
          ?.cancel()
          .catch(() => undefined);
      return Promise.resolve(null);
    },
    cancel: async ({ id }) => {
      const running = this.executions.get(id) ?? this.calls.get(id);
      if (!running) return this.exposures.unexpose(id);
      await running.cancel();
      return true;
    },
    call: (request) => {
      const { id, owner, agent } = request;
      // Whoever has given back what he had gets nothing new for an object that is gone with it.
      if (agent !== null && !(this.owners.has(owner.id) && this.pool.find(agent))) return Promise.reject(closed(owner));
      const quiet = new QuietCall(request, this.owner(owner), this.objects, (stream, data) =>
        this.client.callOutput(id, stream, data),
      );
      this.calls.set(id, quiet);
      return quiet.result.finally(() => this.calls.delete(id));
    },
    keepObject: ({ owner, agent, path }) => {
      const its = this.owners.get(owner);
      if (its) its.keep(agent, path);
      else void this.objects.drop(agent, path);
      return Promise.resolve(null);
    },
    dropObject: async ({ agent, path }) => {
      await this.objects.drop(agent, path);
      return null;
    },
    endSession: async ({ owner, session }) => {
      await this.owners.get(owner)?.endSession(session);
      return null;
    },
    interruptSession: async ({ owner, session }) => (await this.owners.get(owner)?.interruptSession(session)) ?? false,
    expose: async ({ spec }) => {
      const listening = this.exposures.expose(spec, this.signal);
      // While the hosts are waited for.
      this.openJournal();
      await listening;
      return null;
    },
    joinExposure: async ({ id }) => {
      await this.exposures.join(id);
      return null;
    },
    freePorts: ({ owner, ports, service }) => this.exposures.free(owner, ports, service, this.signal),
    release: async ({ owner }) => {
      const held = this.owners.get(owner);
      this.owners.delete(owner);
      await this.exposures.release(owner);
      // What is detached has a connection of its own.
      const tasks = [...this.executions.values()].filter((execution) => !execution.goesOn);
      const its = [...tasks, ...this.calls.values()].filter((running) => running.owner === held);
      await Promise.all(its.map((running) => running.cancel()));
      await held?.release();
      return null;
    },
    shutdown: async () => {
      await this.shutdown();
      return null;
    },
  };

  private get signal(): AbortSignal {
    return this.stopping.signal;
  }

  private owner(spec: OwnerSpec): Owner {
    const known = this.owners.get(spec.id);
    if (known) return known;
    const owner = new Owner(spec.id, spec.host, this.pool);
    this.owners.set(spec.id, owner);
    return owner;
  }

  private execute(spec: ExecutionSpec): void {
    const { id } = spec;
    const journal = this.journalOf(spec);
    const detaching = {
      pool: this.pool,
      objects: this.objects,
      log: (level: "debug" | "info" | "warn", message: string) => this.client.log(level, message),
      detached: (detachment: Detachment) => journal({ detachment }),
      takenBy: () => lastHolder(id, this.journal?.folder ?? null),
    };
    const execution = new Execution(spec, this.owner(spec.owner), detaching, (change) => {
      if (change.kind === "end") this.executions.delete(id);
      if (change.kind !== "grew" && change.kind !== "value" && change.kind !== "progress") journal({ change });
      this.client.changed(id, change);
    });
    this.executions.set(id, execution);
  }

  /**
   * Writes what is told of a task. One that is taken over stays in the journal of its former engine until its host was
   * there, or said that it is there no more: a host that does not answer now may do so later.
   */
  private journalOf(spec: ExecutionSpec): (told: { detachment: Detachment } | { change: TaskChange }) => void {
    const journal = this.openJournal();
    const { id, name, logFile, startedAt } = spec;
    const takeOver = spec.detach?.takeOver ?? null;
    let begun = false;
    const begin = (now: number): void => {
      begun = true;
      // The latest one has it, by whatever clocks.
      const time = takeOver ? Math.max(now, takeOver.since + 1) : now;
      const steps = spec.steps.map(({ kind, description }) => ({ kind, description }));
      const start = { id, name, host: spec.owner.host.host, logFile, startedAt, steps };
      journal.writeSoon({ time, execution: id, start });
    };
    if (!takeOver) begin(startedAt);
    return (told) => {
      const time = Date.now();
      if (!begun) {
        if ("change" in told && !(told.change.kind === "end" && told.change.state === "lost")) return;
        begin(time);
      }
      // What is detached must be found again whatever happens to us.
      if ("detachment" in told) journal.write({ time, execution: id, ...told });
      else journal.writeSoon({ time, execution: id, ...told });
    };
  }

  private journalExposure(
    { id, at, port, to, targetPort, anyUser }: ExposureSpec,
    status: Pick<ExposureRecord, "way" | "interrupted">,
  ): void {
    const startedAt = Date.now();
    const places = { at: at?.host.host ?? null, port, to: to?.host.host ?? null, targetPort };
    this.openJournal().write({
      time: startedAt,
      exposure: id,
      opened: { id, ...places, anyUser, startedAt, ...status },
    });
  }

  /** Made with the first execution or exposure: an engine that only looks at hosts leaves nothing. */
  private openJournal(): JournalWriter {
    if (this.journal) return this.journal;
    const id = `${new Date().toISOString().replace(/[:.]/g, "-")}-${randomUUID().slice(0, 8)}`;
    const warn = (message: string): void => this.client.log("warn", message);
    this.control = ControlServer.listen(
      id,
      (kind, body) => this.handle(kind, body).finally(() => this.flushJournal()),
      warn,
    );
    this.journal = JournalWriter.create(
      {
        id,
        ...ownIdentity(),
        hostname: hostname(),
        startedAt: Date.now(),
        title: this.title,
        controlSocket: this.control?.path ?? "",
      },
      warn,
    );
    return this.journal;
  }

  /** To be called before anybody is told what happened: who hears of an end finds it in the journal. */
  flushJournal(): void {
    this.journal?.flush();
  }

  private async shutdown(): Promise<void> {
    if (this.stopping.signal.aborted) return;
    this.stopping.abort();
    await this.exposures.release(null);
    const calls = [...this.calls.values()].map((call) => call.cancel());
    await Promise.all([...[...this.executions.values()].map((execution) => execution.leave()), ...calls]);
    const owners = [...this.owners.values()];
    this.owners.clear();
    await Promise.allSettled(owners.map((owner) => owner.release()));
    await this.pool.close();
    await this.control?.close();
    this.journal?.close();
  }
}
