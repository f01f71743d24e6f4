/** Makes a folder like another one, here or on a host: only what differs travels. */
import { readFile } from "fs/promises";
import { EngineFailure } from "../../engine/protocol";
import { WireError } from "../../wire";
import type { AgentClient } from "../agent/client";
import { type Diff, type Listing, compare, withFolders } from "./diff";
import { EMPTY, type TreeEntry, below, depthOf, keyOf } from "./entry";
import { hashFile, hashOnHost } from "./hash";
import { IGNORE_FILE, IgnoreRules } from "./ignore";
import { listHost } from "./list";
import { type Planned, planOf, scan, textOf } from "./plan";
import { refusePrecious } from "./precious";
import { readOnHost } from "./read";
import { receiveTree } from "./receive";
import type { TransferRequest } from "./request";
import { localFailure, sendPlan } from "./send";
import { Slices } from "./slices";
import { isSameTime } from "./times";

/** [bytes] of all the rules of a host: read, they take many times as much. */
const MOST_RULES = 1024 * 1024;

export interface SyncRequest extends TransferRequest {
  /** Absolute. */
  readonly localPath: string;
  /** The folder itself. */
  readonly remotePath: string;
  readonly direction: "up" | "down";
  readonly delete: boolean;
  readonly dryRun: boolean;
}

export interface SyncResult {
  readonly created: readonly string[];
  readonly changed: readonly string[];
  readonly deleted: readonly string[];
  readonly unchanged: number;
  /** [bytes] of the files that travelled, or would. */
  readonly bytes: number;
  readonly notes: readonly string[];
}

/** Rejects EngineFailure; then no file is half a file. */
export async function syncTree(agent: AgentClient, request: SyncRequest): Promise<SyncResult> {
  try {
    return await new FolderSync(agent, request).run();
  } catch (error) {
    throw error instanceof EngineFailure ? error : localFailure(agent.host, request.localPath, error);
  }
}

interface Sides {
  readonly source: Listing;
  readonly target: Listing;
  readonly ignored: (entry: TreeEntry) => boolean;
  readonly notes: readonly string[];
}

class FolderSync {
  private readonly slices: Slices;
  private readonly place: { readonly path: string; readonly cwd: string };
  private readonly root: Buffer;

  constructor(
    private readonly agent: AgentClient,
    private readonly request: SyncRequest,
  ) {
    this.slices = new Slices(agent.host, request.signal);
    this.place = { path: request.remotePath, cwd: request.cwd };
    this.root = Buffer.from(request.localPath, "utf8");
  }

  async run(): Promise<SyncResult> {
    const { direction, verify = false, dryRun } = this.request;
    const sides = direction === "up" ? await this.lookUp() : await this.lookDown();
    const stays = this.request.delete ? await this.findIgnored(sides) : new Set<string>();
    const options = { delete: this.request.delete, verify, ignored: ({ path }: TreeEntry) => stays.has(keyOf(path)) };
    const diff = compare(sides.source, sides.target, options);
    const settled = await this.settleDoubts(diff, sides);
    const { created, changed, gone } = settled;
    if (direction === "down") await refusePrecious(this.root, gone);
    const moving = [...created, ...changed];
    const notes = dryRun ? [] : await this.apply(settled, sides.source);
    const fresh = created.filter(({ path }) => path.length > 0).map(nameOf);
    const other = [...changed, ...settled.touched].map(nameOf);
    return {
      created: fresh,
      changed: other,
      deleted: gone.map(nameOf),
      // The root counts for nothing.
      unchanged: sides.source.size - 1 - fresh.length - other.length,
      bytes: moving.reduce((sum, { size }) => sum + size, 0),
      notes: [...sides.notes, ...notes],
    };
  }

  private async lookUp(): Promise<Sides> {
    const { localPath, signal } = this.request;
    const listing = listHost(this.agent, this.place, true, signal, new Slices(this.agent.host, signal));
    listing.catch(() => undefined);
    const plan = await scan(localPath, this.slices, { leaving: false, ignoring: true });
    if (plan.entries[0]?.kind !== "dir") throw new Error("it is no folder");
    const { entries } = await listing;
    return {
      source: new Map(plan.entries.map((entry) => [keyOf(entry.path), entry])),
      target: entries,
      ignored: leftOutBy(plan.rules),
      notes: plan.notes,
    };
  }

  private async lookDown(): Promise<Sides> {
    const { localPath, remotePath, signal } = this.request;
    const listing = listHost(this.agent, this.place, false, signal, new Slices(this.agent.host, signal));
    listing.catch(() => undefined);
    const plan = await scan(localPath, this.slices, { leaving: true, ignoring: false }).catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
      throw error;
    });
    if (plan && plan.entries[0]?.kind !== "dir") throw new Error("it is no folder");
    const { entries, notes } = await listing;
    if (entries.size === 0) throw new Error(`there is no folder ${JSON.stringify(remotePath)} on the host`);
    const rules = await this.rulesOfHost(entries);
    const mine = new IgnoreRules();
    for (const entry of plan?.entries ?? []) {
      const folder = folderOfRules(entry);
      if (folder !== null) mine.add(folder, await readFile(entry.source));
    }
    const [leftOut, mineToo] = [leftOutBy(rules), leftOutBy(mine)];
    const source = new Map<string, TreeEntry>();
    for (const [key, entry] of entries) {
      if (!leftOut(entry)) source.set(key, entry);
      if (this.slices.over) await this.slices.pause();
    }
    return {
      source,
      target: new Map(plan?.entries.map((entry) => [keyOf(entry.path), entry])),
      ignored: (entry) => leftOut(entry) || mineToo(entry),
      notes,
    };
  }

  /** Of what would go otherwise. Rules of a host may be many, so others get their turn meanwhile. */
  private async findIgnored({ source, target, ignored }: Sides): Promise<Set<string>> {
    const found = new Set<string>();
    for (const [key, entry] of target) {
      const kind = source.get(key)?.kind;
      const inPlace = kind !== undefined && (kind === "dir") === (entry.kind === "dir");
      if (!inPlace && ignored(entry)) found.add(key);
      if (this.slices.over) await this.slices.pause();
    }
    return found;
  }

  private async rulesOfHost(entries: Listing): Promise<IgnoreRules> {
    const rules = new IgnoreRules();
    const files = [...entries.values()].filter((entry) => folderOfRules(entry) !== null);
    if (files.reduce((sum, { size }) => sum + size, 0) > MOST_RULES) {
      throw new WireError(`more than ${String(MOST_RULES)} bytes of ${IGNORE_FILE} files`);
    }
    // Those further up first, for they may leave out a folder with all its rules; the file itself counts if its folder does.
    files.sort((a, b) => depthOf(keyOf(a.path)) - depthOf(keyOf(b.path)));
    for (const entry of files) {
      const folder = folderOfRules(entry);
      if (folder === null || rules.ignores(folder, true)) continue;
      rules.add(folder, await readOnHost(this.agent, this.place, entry, this.request.signal));
    }
    return rules;
  }

  /** Same size, other time: those with the same content only get the time, the others travel. */
  private async settleDoubts(diff: Diff, { source, target }: Sides): Promise<Diff> {
    if (diff.doubtful.length === 0) return diff;
    const paths = diff.doubtful.map(({ path }) => path);
    const theirs = hashOnHost(this.agent, this.place, paths, { block: 0 }, this.request.signal);
    theirs.catch(() => undefined);
    const mine: (Buffer | undefined)[] = [];
    for (const path of paths) {
      mine.push((await hashFile(below(this.root, path), 0))[0]);
      if (this.slices.over) await this.slices.pause();
    }
    const others = await theirs;
    const same = (index: number): boolean => mine[index]?.equals(others[index] ?? EMPTY) === true;
    const differs = (entry: TreeEntry): boolean => {
      const there = target.get(keyOf(entry.path));
      return there?.mode !== entry.mode || !isSameTime(there.mtime, entry.mtime);
    };
    return {
      ...diff,
      changed: [...diff.changed, ...diff.doubtful.filter((_, index) => !same(index))],
      touched: [...diff.touched, ...diff.doubtful.filter((entry, index) => same(index) && differs(entry))],
      doubtful: [],
      unchanged: source.size,
    };
  }

  private async apply({ created, changed, folders, touched, gone }: Diff, source: Listing): Promise<readonly string[]> {
    const moving = [...created, ...changed, ...folders];
    if (moving.length + touched.length + gone.length === 0) return [];
    const entries = withFolders(source, moving, gone);
    const { request } = this;
    if (request.direction === "up") {
      const plan = planOf(
        [
          ...(entries as Planned[]),
          ...touched.map((entry) => toRecord(entry, "touch")),
          ...gone.map((entry) => toRecord(entry, "gone")),
        ],
        [],
        new IgnoreRules(),
      );
      await sendPlan(this.agent, plan, { ...this.place, into: false, sync: true }, request);
      return [];
    }
    const files = entries.filter(({ kind }) => kind === "file");
    const selection = {
      entries,
      changes: { touched, gone },
      totalBytes: files.reduce((sum, { size }) => sum + size, 0),
      totalFiles: files.length,
    };
    return (await receiveTree(this.agent, request, selection)).notes;
  }
}

function toRecord(entry: TreeEntry, kind: "touch" | "gone"): Planned {
  return { ...entry, kind, size: 0, extra: EMPTY, source: EMPTY };
}

function leftOutBy(rules: IgnoreRules): (entry: TreeEntry) => boolean {
  return (entry) => rules.ignores(keyOf(entry.path), entry.kind === "dir");
}

/** The folder for which a file holds rules, by its key; null: it holds none. */
function folderOfRules(entry: TreeEntry): string | null {
  const name = keyOf(entry.path);
  if (entry.kind !== "file" || !(name === IGNORE_FILE || name.endsWith(`/${IGNORE_FILE}`))) return null;
  return name.slice(0, -IGNORE_FILE.length).replace(/\/$/, "");
}

function nameOf(entry: TreeEntry): string {
  return textOf(keyOf(entry.path));
}
