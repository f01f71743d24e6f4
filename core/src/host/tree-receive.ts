/** A file or folder of a host on its way to the manager. Nothing of it is trusted; it appears whole or not at all. */
import { randomBytes } from "crypto";
import type { Stats } from "fs";
import {
  type FileHandle,
  chmod,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  utimes,
} from "fs/promises";
import { basename, dirname, join } from "path";
import { EngineFailure } from "../engine/protocol";
import { type Frame, type Header, WireError } from "../wire";
import type { AgentClient } from "./agent-client";
import { agentFailure } from "./agent-error";
import type { Operation } from "./operation";
import { type Progress, TreeCheck, type TransferResult, type TreeEntry, readEntry, showPath } from "./tree";

export interface ReceiveRequest {
  readonly remotePath: string;
  readonly cwd: string;
  /** Absolute. An existing folder, or a path that ends with `/`, receives a file under its own name. */
  readonly localPath: string;
  readonly progress: (progress: Progress) => void;
  readonly signal: AbortSignal;
}

/** Rejects EngineFailure; then the target is as it was. */
export async function receiveTree(agent: AgentClient, request: ReceiveRequest): Promise<TransferResult> {
  const receiver = new TreeReceiver(request);
  // Frames are worked off one after the other; the credit bounds how many can wait.
  let work: Promise<void> = Promise.resolve();
  let broken: unknown;
  let operation: Operation | undefined;
  const cancel = (): void => operation?.cancel();
  const enqueue = (step: () => Promise<void>): void => {
    work = work.then(async () => {
      if (broken !== undefined) return;
      try {
        await step();
      } catch (error) {
        broken = error;
        cancel();
      }
    });
  };
  try {
    await new Promise<void>((resolve, reject) => {
      const opened = agent.open(
        "get",
        { path: request.remotePath, cwd: request.cwd },
        {
          message: ({ header, payload }: Frame) =>
            enqueue(async () => {
              await receiver.take(header, payload);
              opened.grant(payload.length);
            }),
          ended: (outcome) => {
            // What broke it on our side is the reason, whatever the host makes of the cancel.
            if (broken !== undefined) resolve();
            else if (outcome instanceof EngineFailure) reject(outcome);
            else if (outcome.header.op === "end") {
              enqueue(() => receiver.take(outcome.header, outcome.payload));
              resolve();
            } else reject(agentFailure(agent.host, outcome.header));
          },
        },
      );
      operation = opened;
      request.signal.addEventListener("abort", cancel);
      if (request.signal.aborted) cancel();
    });
    await work;
    if (broken !== undefined) throw asError(broken);
    return await receiver.finish();
  } catch (error) {
    await work;
    throw error instanceof EngineFailure ? error : receiveFailure(agent.host, request, error);
  } finally {
    request.signal.removeEventListener("abort", cancel);
    await receiver.dispose();
  }
}

/** Collects a tree in a hidden folder beside its target, then moves it there. */
class TreeReceiver {
  private readonly check = new TreeCheck();
  private readonly entries: TreeEntry[] = [];
  private target = "";
  private staging = "";
  private file: { readonly handle: FileHandle; readonly entry: TreeEntry; left: number } | null = null;
  private bytes = 0;
  private files = 0;
  private totals: { readonly bytes: number; readonly entries: number; readonly notes: readonly string[] } | null = null;

  constructor(private readonly request: ReceiveRequest) {}

  async take(header: Header, payload: Buffer): Promise<void> {
    if (this.totals) throw new WireError(`${header.op} behind the end`);
    switch (header.op) {
      case "entry":
        await this.enter(readEntry(header));
        break;
      case "data":
        await this.write(payload);
        break;
      case "end":
        await this.closeFile();
        this.totals = {
          bytes: header.integer("bytes"),
          entries: header.integer("entries"),
          notes: header.textList("notes"),
        };
        break;
      default:
        throw new WireError(`an unexpected ${header.op}`);
    }
  }

  /** Moves the whole into place, if it is the whole. */
  async finish(): Promise<TransferResult> {
    const { totals } = this;
    const root = this.entries[0];
    if (!totals || !root) throw new WireError("the end is missing");
    if (totals.bytes !== this.bytes || totals.entries !== this.entries.length) {
      throw new WireError(
        `${String(totals.entries)} entries with ${String(totals.bytes)} bytes were announced, ` +
          `${String(this.entries.length)} with ${String(this.bytes)} came`,
      );
    }
    if (root.kind === "file") await rename(this.staged([]), this.target);
    else await this.placeFolder();
    return { path: this.target, bytes: this.bytes, entries: this.entries.length, notes: totals.notes };
  }

  async dispose(): Promise<void> {
    await this.file?.handle.close().catch(() => undefined);
    this.file = null;
    if (this.staging !== "") await rm(this.staging, { recursive: true, force: true });
  }

  private async placeFolder(): Promise<void> {
    const target = Buffer.from(this.target, "utf8");
    const merged = new Set<string>();
    if (await optional(stat(target))) {
      await checkMerge(this.staged([]), target);
      await mergeFolder(this.staged([]), target, merged);
    } else {
      await rename(this.staged([]), target);
    }
    // Last, because writing into a folder changes its time, and a read-only one can be neither filled nor moved.
    for (const entry of [...this.entries].reverse()) {
      const path = below(target, entry.path);
      if (entry.kind !== "dir" || merged.has(path.toString("latin1"))) continue;
      await chmod(path, entry.mode);
      await utimes(path, seconds(entry), seconds(entry));
    }
  }

  private async enter(entry: TreeEntry): Promise<void> {
    await this.closeFile();
    this.check.accept(entry);
    if (this.entries.length === 0) await this.prepare(entry);
    this.entries.push(entry);
    const path = this.staged(entry.path);
    switch (entry.kind) {
      case "dir":
        await mkdir(path, { mode: 0o700 });
        break;
      case "link":
        await symlink(entry.target, path);
        await lutimes(path, seconds(entry), seconds(entry));
        break;
      case "file":
        // `wx`: never through a link, never onto something that is there.
        this.file = { handle: await open(path, "wx", 0o600), entry, left: entry.size };
        if (entry.size === 0) await this.closeFile();
        break;
    }
  }

  private async write(payload: Buffer): Promise<void> {
    const { file } = this;
    if (!file || payload.length > file.left) throw new WireError("more content than was announced");
    // A disk that becomes full takes a part without an error.
    for (let offset = 0; offset < payload.length;) {
      offset += (await file.handle.write(payload, offset)).bytesWritten;
    }
    file.left -= payload.length;
    this.bytes += payload.length;
    this.report();
    if (file.left === 0) await this.closeFile();
  }

  private async closeFile(): Promise<void> {
    const { file } = this;
    if (!file) return;
    this.file = null;
    try {
      if (file.left > 0) throw new WireError(`less content of ${showPath(file.entry.path)} than was announced`);
      await file.handle.chmod(file.entry.mode);
      const time = seconds(file.entry);
      await file.handle.utimes(time, time);
    } finally {
      await file.handle.close();
    }
    this.files += 1;
    this.report();
  }

  /** Chooses the target, refuses what stands in its way, and makes the hidden folder. */
  private async prepare(root: TreeEntry): Promise<void> {
    const { localPath, remotePath } = this.request;
    const name = basename(remotePath.replace(/\/+$/, ""));
    const existing = await optional(stat(localPath));
    const inside = localPath.endsWith("/") || (root.kind === "file" && existing?.isDirectory() === true);
    if (inside && ["", ".", "..", "~"].includes(name)) {
      throw new Error(`${JSON.stringify(remotePath)} has no name of its own; name the target in full`);
    }
    this.target = inside ? join(localPath, name) : localPath;
    const there = inside ? await optional(stat(this.target)) : existing;
    if (there && there.isDirectory() !== (root.kind === "dir")) {
      const [what, where] = root.kind === "dir" ? ["a folder", "a file"] : ["a file", "a folder"];
      throw new Error(`${what} cannot replace ${where}: ${this.target}. Name another target`);
    }
    await mkdir(dirname(this.target), { recursive: true });
    this.staging = join(dirname(this.target), `.lazycluster-${randomBytes(6).toString("hex")}`);
    await mkdir(this.staging, { mode: 0o700 });
  }

  private staged(path: readonly Buffer[]): Buffer {
    return below(Buffer.from(join(this.staging, "root"), "utf8"), path);
  }

  private report(): void {
    this.request.progress({ bytes: this.bytes, totalBytes: null, files: this.files, totalFiles: null });
  }
}

const SEPARATOR = Buffer.from("/");

function below(folder: Buffer, path: readonly Buffer[]): Buffer {
  return Buffer.concat([folder, ...path.flatMap((name) => [SEPARATOR, name])]);
}

/**
 * Looks for conflicts before anything is moved, so that a refused folder has changed nothing. Below the folder that the
 * user named no link is followed.
 */
async function checkMerge(from: Buffer, to: Buffer): Promise<void> {
  for (const entry of await readdir(from, { encoding: "buffer", withFileTypes: true })) {
    const target = below(to, [entry.name]);
    const there = await optional(lstat(target));
    if (!there) continue;
    if (entry.isDirectory() !== there.isDirectory()) {
      const [what, where] = entry.isDirectory() ? ["a folder", "a file or link"] : ["a file", "a folder"];
      throw new Error(`${what} cannot replace ${where}: ${target.toString("utf8")}`);
    }
    if (entry.isDirectory()) await checkMerge(below(from, [entry.name]), target);
  }
}

/** File by file; the folders that were there already are noted in `merged`. */
async function mergeFolder(from: Buffer, to: Buffer, merged: Set<string>): Promise<void> {
  merged.add(to.toString("latin1"));
  for (const entry of await readdir(from, { encoding: "buffer", withFileTypes: true })) {
    const [source, target] = [below(from, [entry.name]), below(to, [entry.name])];
    if (entry.isDirectory() && (await optional(lstat(target)))) await mergeFolder(source, target, merged);
    else await rename(source, target);
  }
}

/** Null where nothing is. Any other failure is the caller's to report. */
async function optional(look: Promise<Stats>): Promise<Stats | null> {
  try {
    return await look;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** Exact to the microsecond, which is what the system call is given: half of one more, so that cutting off is right. */
function seconds(entry: TreeEntry): number {
  return (Number(entry.mtime / 1000n) + 0.5) / 1e6;
}

function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value));
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
