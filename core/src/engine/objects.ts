/**
 * Python objects that calls take from elsewhere: kept in a file of a host, or alive in a session. They are carried to the
 * host of a call as files, unread; what is there already is not carried again.
 */
import { rm } from "fs/promises";
import { type AgentClient, abortable, agentFailure, receiveTree, sendTree } from "../host";
import { dumpObject } from "./dump-object";
import { checkVersion, gone } from "./object-checks";
import type { CallSpec, HandleRef, LiveObject } from "./protocol";

/** The files of a call's objects, on its host. */
export interface HeldObjects {
  readonly paths: readonly Buffer[];
  /** They may be removed from now on. */
  release(): void;
}

/** A file on a host that was carried there. */
interface Copy {
  readonly path: Buffer;
  users: number;
  /** There is a newer one. */
  stale: boolean;
}

/** A copy on its way, or there. Who waits for it may give up; when all have, it is given up itself. */
interface Carried {
  readonly copy: Promise<Copy>;
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

  constructor(
    private readonly agentOf: (id: string) => AgentClient | null,
    private readonly newFile: () => string,
  ) {}

  /** Brings them to the host. Rejects EngineFailure. */
  async hold(call: CallSpec, agent: AgentClient, signal: AbortSignal): Promise<HeldObjects> {
    const copies: Copy[] = [];
    const release = (): void => {
      for (const copy of copies) this.letGo(agent, copy);
    };
    try {
      const paths: Buffer[] = [];
      for (const object of call.handles) {
        checkVersion(object, call, agent);
        if (object.kind === "kept" && object.agent === agent.id) {
          paths.push(Buffer.from(object.path));
          continue;
        }
        const copy = await this.copyTo(agent, object, signal);
        copy.users += 1;
        copies.push(copy);
        paths.push(copy.path);
      }
      return { paths, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** A call of the session starts or has ended. */
  sessionRan(agent: AgentClient, scope: string, session: string): void {
    const key = sessionKey(agent.id, scope, session);
    this.ran.set(key, (this.ran.get(key) ?? 0) + 1);
  }

  /** Removes a kept object, and its copies. Nobody waits for it, and a host that is gone has none any more. */
  async drop(agentId: string, path: Uint8Array): Promise<void> {
    const key = keptKey(agentId, path);
    await Promise.all([
      ...[...this.places.values()].map((place) => this.retire(place, key)),
      remove(this.agentOf(agentId), Buffer.from(path)),
    ]);
  }

  private async copyTo(agent: AgentClient, object: HandleRef, signal: AbortSignal): Promise<Copy> {
    const source = this.agentOf(object.agent);
    if (!source?.alive) throw gone(object, agent.host);
    const place = this.placeOn(agent);
    const key = object.kind === "kept" ? keptKey(object.agent, object.path) : this.liveKey(object);
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
  private async carry(source: AgentClient, path: Uint8Array, place: Place, signal: AbortSignal): Promise<Copy> {
    const file = this.newFile();
    try {
      const remotePath = Buffer.from(path).toString("utf8");
      await receiveTree(source, { remotePath, cwd: "", localPath: file, progress: QUIET, signal });
      place.count += 1;
      const target = `${await place.folder}/${String(place.count)}`;
      await sendTree(place.agent, { localPath: file, remotePath: target, cwd: "", progress: QUIET, signal });
      return { path: Buffer.from(target, "utf8"), users: 0, stale: false };
    } finally {
      await rm(file, { force: true });
    }
  }

  private async carryLive(source: AgentClient, object: LiveObject, place: Place, signal: AbortSignal): Promise<Copy> {
    // What was carried of it before is older.
    const identity = identityOf(object);
    for (const key of [...place.copies.keys()]) {
      if (key.startsWith(identity) && key !== this.liveKey(object)) void this.retire(place, key);
    }
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
      for (const key of this.ran.keys()) if (key.startsWith(agent.id)) this.ran.delete(key);
    });
    return place;
  }

  private async retire(place: Place, key: string): Promise<void> {
    const copy = await place.copies.get(key)?.copy.catch(() => null);
    place.copies.delete(key);
    if (!copy) return;
    copy.stale = true;
    if (copy.users === 0) await remove(place.agent, copy.path);
  }

  private letGo(agent: AgentClient, copy: Copy): void {
    copy.users -= 1;
    if (copy.stale && copy.users === 0) void remove(agent, copy.path);
  }

  private liveKey(object: LiveObject): string {
    const ran = this.ran.get(sessionKey(object.agent, object.scope, object.session)) ?? 0;
    return `${identityOf(object)}${String(ran)}`;
  }
}

function keptKey(agent: string, path: Uint8Array): string {
  return `kept ${agent} ${Buffer.from(path).toString("latin1")}`;
}

function sessionKey(agent: string, scope: string, session: string): string {
  return `${agent} ${scope} ${session}`;
}

function identityOf({ agent, scope, session, id, modules }: LiveObject): string {
  return `live ${JSON.stringify([agent, scope, session, id, modules])} `;
}

async function remove(agent: AgentClient | null, path: Uint8Array): Promise<void> {
  if (!agent?.alive) return;
  await agent.ask("remove", { path, cwd: "" }, (error) => agentFailure(agent.host, error)).catch(() => undefined);
}
