/** A file or folder of a host on its way to the manager. Nothing of it is trusted; it appears whole or not at all. */
import { randomBytes } from "crypto";
import { setMaxListeners } from "events";
import { mkdir, rename, stat } from "fs/promises";
import { basename, dirname, join } from "path";
import { EngineFailure } from "../../engine/protocol";
import { type Header, WireError } from "../../wire";
import type { AgentClient } from "../agent/client";
import { type TransferResult, TreeCheck, type TreeEntry, keyOf } from "./entry";
import { receive } from "./exchange";
import { sendSelection } from "./hash";
import { Lanes } from "./lanes";
import { type Changes, hasCode, optional, placeFolder } from "./place";
import { APART } from "./ranges";
import { RecordDecoder } from "./records";
import { Counter, type TransferRequest, isInterruption } from "./request";
import { Slices } from "./slices";
import { Staging } from "./staging";

export interface ReceiveRequest extends TransferRequest {
  readonly remotePath: string;
  /** Absolute. An existing folder, or a path that ends with `/`, receives a file under its own name. */
  readonly localPath: string;
}

/** Of a sync: what is fetched of the folder, and what else becomes of the target, which is `localPath` itself. */
export interface Selection {
  readonly entries: readonly TreeEntry[];
  readonly changes: Changes;
  readonly totalBytes: number;
  readonly totalFiles: number;
}

/** Rejects EngineFailure; then the target is as it was. */
export async function receiveTree(
  agent: AgentClient,
  request: ReceiveRequest,
  selection: Selection | null = null,
): Promise<TransferResult> {
  const receiver = new TreeReceiver(agent, request, selection);
  try {
    return await receiver.run();
  } catch (error) {
    throw error instanceof EngineFailure ? error : receiveFailure(agent.host, request, error);
  }
}

/** Collects a tree in a hidden folder beside its target, then moves it there. */
class TreeReceiver {
  private readonly check = new TreeCheck();
  private readonly decoder = new RecordDecoder();
  private readonly folders: TreeEntry[] = [];
  private readonly lanes: Lanes;
  private readonly count: Counter;
  private readonly slices: Slices;
  /** Keys of what may come; null: anything. */
  private readonly wanted: ReadonlySet<string> | null;
  private readonly stop = new AbortController();
  private root: TreeEntry | null = null;
  private staging: Staging | null = null;
  private entries = 0;
  private bytes = 0;

  constructor(
    private readonly agent: AgentClient,
    private readonly request: ReceiveRequest,
    private readonly selection: Selection | null,
  ) {
    this.wanted = selection ? new Set(selection.entries.map(({ path }) => keyOf(path))) : null;
    this.count = new Counter(request.progress, selection?.totalBytes ?? null, selection?.totalFiles ?? null);
    this.slices = new Slices(agent.host, request.signal);
    this.lanes = new Lanes(agent, request.openLane ?? null);
    // Every range listens to it.
    setMaxListeners(0, this.stop.signal);
  }

  async run(): Promise<TransferResult> {
    const { selection, request } = this;
    const { remotePath, cwd, signal, verify = false } = request;
    const onAbort = (): void => this.stop.abort();
    signal.addEventListener("abort", onAbort);
    let interrupted = false;
    try {
      const fields = { path: remotePath, cwd, only: selection !== null, apart: APART, verify };
      const end = await receive(
        this.agent,
        "get",
        fields,
        signal,
        (pieces) => this.take(pieces),
        async (operation) => {
          const paths = selection?.entries.map(({ path }) => path);
          if (paths) await sendSelection(operation, paths);
        },
      );
      return await this.finish(end);
    } catch (error) {
      interrupted = isInterruption(error);
      this.stop.abort();
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      await this.lanes.close();
      await this.staging?.dispose(interrupted);
    }
  }

  private async take(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      for (const found of this.decoder.push(piece)) {
        if (Buffer.isBuffer(found)) await this.required().write(found);
        else await this.enter(found);
        if (this.slices.over) await this.slices.pause();
      }
    }
  }

  private async enter(entry: TreeEntry): Promise<void> {
    const staging = this.staging ?? (await this.prepare(entry));
    staging.endFile();
    if (entry.kind === "sum") {
      staging.expectSum(this.check.acceptSum(entry.path), entry);
      return;
    }
    this.check.accept(entry);
    if (this.wanted?.has(keyOf(entry.path)) === false) throw new WireError("what was not asked for");
    this.entries += 1;
    this.bytes += entry.size;
    if (entry.kind === "dir") this.folders.push(entry);
    staging.enter(entry);
  }

  private required(): Staging {
    if (!this.staging) throw new WireError("content without a file");
    return this.staging;
  }

  /** Moves the whole into place, if it is the whole. */
  private async finish(end: Header): Promise<TransferResult> {
    const { root, staging } = this;
    if (!root || !staging || !this.decoder.whole) throw new WireError("the end is missing");
    staging.endFile();
    const [bytes, entries] = [end.integer("bytes"), end.integer("entries")];
    if (bytes !== this.bytes || entries !== this.entries) {
      throw new WireError(
        `${String(entries)} entries with ${String(bytes)} bytes were announced, ` +
          `${String(this.entries)} with ${String(this.bytes)} came`,
      );
    }
    const notes = end.textList("notes");
    await staging.complete();
    if (root.kind === "dir") {
      const target = Buffer.from(staging.target, "utf8");
      await placeFolder(staging.root, target, this.folders, this.selection?.changes ?? null);
    } else await rename(staging.root, staging.target);
    return { path: staging.target, bytes, entries, notes };
  }

  /** Chooses the target, refuses what stands in its way, and makes the hidden folder. */
  private async prepare(root: TreeEntry): Promise<Staging> {
    const { localPath, remotePath } = this.request;
    const isFolder = root.kind === "dir";
    const name = basename(remotePath.replace(/\/+$/, ""));
    const existing = await optional(stat(localPath));
    const inside = !this.selection && (localPath.endsWith("/") || (!isFolder && existing?.isDirectory() === true));
    if (inside && ["", ".", "..", "~"].includes(name)) {
      throw new Error(`${JSON.stringify(remotePath)} has no name of its own; name the target in full`);
    }
    const target = inside ? join(localPath, name) : localPath;
    const there = inside ? await optional(stat(target)) : existing;
    if (there && there.isDirectory() !== isFolder) {
      const [what, where] = isFolder ? ["a folder", "a file"] : ["a file", "a folder"];
      throw new Error(`${what} cannot replace ${where}: ${target}. Name another target`);
    }
    const { place, folder } = await makeStaging(target, isFolder && there !== null);
    this.root = root;
    this.staging = new Staging({
      place,
      folder,
      target,
      agent: this.agent,
      lanes: this.lanes,
      count: this.count,
      signal: this.stop.signal,
      resume: this.request.resume ?? null,
      verify: this.request.verify === true,
    });
    return this.staging;
  }
}

/**
 * Makes the hidden folder: in a folder that is there, for its parent may be another file system, or not ours to write to; else
 * beside the target.
 */
async function makeStaging(target: string, isThere: boolean): Promise<{ place: string; folder: string }> {
  const name = `.lazycluster-${randomBytes(6).toString("hex")}`;
  const make = async (place: string): Promise<{ place: string; folder: string }> => {
    const folder = join(place, name);
    await mkdir(folder, { mode: 0o700 });
    return { place, folder };
  };
  const parent = dirname(target);
  if (isThere) {
    // One that forbids it is opened at the end only, when all that comes is known to be right.
    try {
      return await make(target);
    } catch (error) {
      if (!hasCode(error, "EACCES")) throw error;
      return make(parent);
    }
  }
  await mkdir(parent, { recursive: true });
  return make(parent);
}

function receiveFailure(host: string, request: ReceiveRequest, error: unknown): EngineFailure {
  const reason = error instanceof Error ? error.message : String(error);
  const trusted = error instanceof WireError ? ` The host sent ${reason}; nothing was written.` : ` ${reason}.`;
  return new EngineFailure(
    {
      code: "ERR_OTHER",
      host,
      path: request.localPath,
      message: `${host}: ${JSON.stringify(request.remotePath)} could not be fetched to ${JSON.stringify(request.localPath)}:${trusted}`,
    },
    error,
  );
}
