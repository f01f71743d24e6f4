/**
 * Python objects that calls take from elsewhere: kept in a file of a host, or alive in a session. They are carried to the
 * host of a call as files, unread; what is there already is not carried again.
 */
import { lstat, rm } from "fs/promises";
import { type AgentClient, abortable, agentFailure, receiveTree, sendTree } from "../host";
import { dumpObject } from "./dump-object";
import { checkVersion, gone } from "./object-checks";
import { type CallSpec, EngineFailure, type HandleRef, type LiveObject, type SessionProcess } from "./protocol";

/** The files of a call's objects, on its host. */
export interface HeldObjects {
  readonly paths: readonly Buffer[];
  /** They may be removed from now on. */
  release(): void;
}

/** Calls that use an object, or wait for it, wherever they run. */
interface Use {
  users: number;
  /** What is to be done when none is left. */
  over: (() => Promise<void>) | null;
}

/** A copy on its way, or there: the path of its file. Who waits for it may give up; when all have, it is given up itself. */
interface Carried {
  readonly copy: Promise<Buffer>;
  readonly abort: AbortController;
  waiting: number;
  there: boolean;
}

/** What is on one host. */
interface Place {
  readonly agent: AgentClient;
  readonly folder: Promise<string>;
  /** By what they are copies of. */
  readonly copies: Map<string, Carried>;
  count: number;
}

const QUIET = (): void => undefined;

export class ObjectStore {
  private readonly places = new Map<string, Place>();
  /** How many calls of a session have started and ended: an object of it is as it was while that stays. */
  private readonly ran = new Map<string, number>();
  /** By object, as it is now. */
  private readonly uses = new Map<string, Use>();

  constructor(
    private readonly agentOf: (id: string) => AgentClient | null,
    private readonly newFile: () => string,
  ) {}

  /** Brings them to the host. Rejects EngineFailure. */
  async hold(call: CallSpec, agent: AgentClient, signal: AbortSignal): Promise<HeldObjects> {
    const keys: string[] = [];
    const release = (): void => keys.splice(0).forEach((key) => this.letGo(key));
    try {
      const paths: Buffer[] = [];
      for (const object of call.handles) {
        checkVersion(object, call, agent);
        const key = this.keyOf(object);
        // Before anything is awaited: nobody removes it from now on.
        this.use(key);
        keys.push(key);
        const there = object.kind === "kept" && object.agent === agent.id;
        paths.push(there ? Buffer.from(object.path) : await this.copyTo(agent, object, key, signal));
      }
      return { paths, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** A call of the session starts or has ended: its objects may be others now, so what was copied of them is of no use any more. */
  sessionRan(agent: AgentClient, scope: string, session: SessionProcess): void {
    const key = sessionKey(agent.id, scope, session);
    this.ran.set(key, (this.ran.get(key) ?? 0) + 1);
    const old = new Set([...this.places.values()].flatMap(({ copies }) => [...copies.keys()]));
    for (const copy of old) if (copy.startsWith(`${key} `)) void this.whenUnused(copy, () => this.retire(copy));
  }

  /** Removes a kept object, and its copies, as soon as no call uses it. A host that is gone has none any more. */
  async drop(agentId: string, path: Uint8Array): Promise<void> {
    const key = keptKey(agentId, path);
    await this.whenUnused(key, async () => {
      await Promise.all([this.retire(key), remove(this.agentOf(agentId), Buffer.from(path))]);
    });
  }

  private async copyTo(agent: AgentClient, object: HandleRef, key: string, signal: AbortSignal): Promise<Buffer> {
    const source = this.agentOf(object.agent);
    if (!source?.alive) throw gone(object, agent.host);
    const place = this.placeOn(agent);
    const carried = place.copies.get(key) ?? this.startCarrying(key, source, object, place);
    carried.waiting += 1;
    try {
      return await abortable(carried.copy, signal, agent.host);
    } catch (error) {
      // It may have been lost meanwhile.
      if (!this.agentOf(object.agent)) throw gone(object, agent.host);
      throw error;
    } finally {
      carried.waiting -= 1;
      if (carried.waiting === 0 && !carried.there) carried.abort.abort();
    }
  }

  private startCarrying(key: string, source: AgentClient, object: HandleRef, place: Place): Carried {
    const abort = new AbortController();
    const { signal } = abort;
    const copy =
      object.kind === "kept"
        ? this.carry(source, object.path, place, signal)
        : this.carryLive(source, object, place, signal);
    const carried: Carried = { copy, abort, waiting: 0, there: false };
    place.copies.set(key, carried);
    const forget = (): void => {
      if (place.copies.get(key) === carried) place.copies.delete(key);
    };
    signal.addEventListener("abort", forget);
    copy.then(() => (carried.there = true), forget);
    return carried;
  }

  /** From host to host, through a private file of ours. */
  private async carry(source: AgentClient, path: Uint8Array, place: Place, signal: AbortSignal): Promise<Buffer> {
    const file = this.newFile();
    try {
      const remotePath = Buffer.from(path).toString("utf8");
      await receiveTree(source, { remotePath, cwd: "", localPath: file, progress: QUIET, signal });
      await requireFile(file, source.host);
      place.count += 1;
      const target = `${await place.folder}/${String(place.count)}`;
      await sendTree(place.agent, { localPath: file, remotePath: target, cwd: "", progress: QUIET, signal });
      return Buffer.from(target, "utf8");
    } finally {
      // The host may have sent a folder.
      await rm(file, { force: true, recursive: true });
    }
  }

  private async carryLive(source: AgentClient, object: LiveObject, place: Place, signal: AbortSignal): Promise<Buffer> {
    const path = await dumpObject(source, object, this.newFile, signal);
    try {
      return await this.carry(source, path, place, signal);
    } finally {
      void remove(source, path);
    }
  }

  private placeOn(agent: AgentClient): Place {
    const known = this.places.get(agent.id);
    if (known) return known;
    const folder = agent
      .ask("tempdir", {}, (error) => agentFailure(agent.host, error, "ERR_PATH_CREATION"))
      .then((done) => done.bytes("path").toString("utf8"));
    // Whoever needs it is told.
    folder.catch(() => this.places.delete(agent.id));
    const place: Place = { agent, folder, copies: new Map(), count: 0 };
    this.places.set(agent.id, place);
    void agent.closed.then(() => {
      this.places.delete(agent.id);
      for (const key of this.ran.keys()) {
        if (key.startsWith(`live ${JSON.stringify([agent.id]).slice(0, -1)},`)) this.ran.delete(key);
      }
    });
    return place;
  }

  /** Removes the copies of it. */
  private async retire(key: string): Promise<void> {
    const removed = [...this.places.values()].map(async ({ agent, copies }) => {
      const carried = copies.get(key);
      copies.delete(key);
      const path = await carried?.copy.catch(() => null);
      if (path) await remove(agent, path);
    });
    await Promise.all(removed);
  }

  private use(key: string): void {
    const use = this.uses.get(key) ?? { users: 0, over: null };
    use.users += 1;
    this.uses.set(key, use);
  }

  private letGo(key: string): void {
    const use = this.uses.get(key);
    if (!use || (use.users -= 1) > 0) return;
    this.uses.delete(key);
    void use.over?.();
  }

  /** Does it now, or leaves it to the last call that uses the object. */
  private async whenUnused(key: string, work: () => Promise<void>): Promise<void> {
    const use = this.uses.get(key);
    if (use) use.over = work;
    else await work();
  }

  /** It names a live object as it is now. */
  private keyOf(object: HandleRef): string {
    if (object.kind === "kept") return keptKey(object.agent, object.path);
    const session = sessionKey(object.agent, object.scope, object.session);
    return `${session} ${JSON.stringify([this.ran.get(session) ?? 0, object.id, object.modules])}`;
  }
}

function keptKey(agent: string, path: Uint8Array): string {
  return `kept ${agent} ${Buffer.from(path).toString("latin1")}`;
}

function sessionKey(agent: string, scope: string, { name, process }: SessionProcess): string {
  return `live ${JSON.stringify([agent, scope, name, process])}`;
}

/** A host sends what it likes. */
async function requireFile(path: string, host: string): Promise<void> {
  if ((await lstat(path)).isFile()) return;
  throw new EngineFailure({ code: "ERR_PYTHON", host, message: `${host}: the file of a Python object is none.` });
}

async function remove(agent: AgentClient | null, path: Uint8Array): Promise<void> {
  if (!agent?.alive) return;
  await agent.ask("remove", { path, cwd: "" }, (error) => agentFailure(agent.host, error)).catch(() => undefined);
}
