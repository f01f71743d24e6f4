/** The hidden folder in which a tree from a host is collected. */
import {
  closeSync,
  fchmodSync,
  futimesSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  write,
  writeSync,
} from "fs";
import { type FileHandle, open, rm } from "fs/promises";
import { join } from "path";
import { promisify } from "util";
import { WireError } from "../../wire";
import type { AgentClient } from "../agent/client";
import { EMPTY, type TreeEntry, below, showPath } from "./entry";
import { hashFile, hashOnHost } from "./hash";
import type { Lanes } from "./lanes";
import { openToFill } from "./open";
import { claimPartial, isLike, keepPartial, tidyPartials } from "./partials";
import { rangesToGo, receiveRanges } from "./ranges";
import type { Counter } from "./request";
import { secondsOf } from "./times";

/** [bytes] up to which a piece is written by one synchronous call. */
const SMALL = 64 * 1024;
const writeAsync = promisify(write);

interface Options {
  /** Where kept pieces lie, and the folder in it that is ours. */
  readonly place: string;
  readonly folder: string;
  readonly target: string;
  readonly agent: AgentClient;
  readonly lanes: Lanes;
  readonly count: Counter;
  readonly signal: AbortSignal;
  /** Names the pieces that are kept; null: none are. */
  readonly resume: Buffer | null;
  readonly verify: boolean;
}

export class Staging {
  readonly root: Buffer;
  private file: { readonly descriptor: number; readonly entry: TreeEntry; left: number; at: number } | null = null;
  private readonly parts: { readonly entry: TreeEntry; readonly done: Promise<void> }[] = [];
  private readonly sums: TreeEntry[] = [];
  private broken: Error | null = null;

  constructor(private readonly options: Options) {
    this.root = Buffer.from(join(options.folder, "root"), "utf8");
  }

  get target(): string {
    return this.options.target;
  }

  /** Makes what the entry says. `wx`: never through a link, never onto something that is there. */
  enter(entry: TreeEntry): void {
    if (this.broken !== null) throw this.broken;
    const path = this.path(entry);
    switch (entry.kind) {
      case "dir":
        mkdirSync(path, { mode: 0o700 });
        break;
      case "link":
        symlinkSync(entry.extra, path);
        lutimesSync(path, secondsOf(entry.mtime), secondsOf(entry.mtime));
        break;
      case "apart":
        this.startPart(entry);
        break;
      default:
        this.file = { descriptor: openSync(path, "wx", 0o600), entry, left: entry.size, at: 0 };
        if (entry.size === 0) this.endFile();
    }
  }

  async write(content: Buffer): Promise<void> {
    const { file } = this;
    if (!file) throw new WireError("content without a file");
    if (content.length <= SMALL) {
      for (let done = 0; done < content.length;) {
        done += writeSync(file.descriptor, content, done, content.length - done, file.at + done);
      }
    } else {
      for (let done = 0; done < content.length;) {
        done += (await writeAsync(file.descriptor, content, done, content.length - done, file.at + done)).bytesWritten;
      }
    }
    file.at += content.length;
    file.left -= content.length;
    this.options.count.passed(content.length);
    if (file.left === 0) this.endFile();
  }

  endFile(): void {
    const { file } = this;
    if (!file) return;
    this.file = null;
    try {
      if (file.left > 0) throw new WireError(`less content of ${showPath(file.entry.path)} than was announced`);
      finishFile(file.descriptor, file.entry);
    } finally {
      closeSync(file.descriptor);
    }
    this.options.count.file();
  }

  expectSum(known: boolean, entry: TreeEntry): void {
    if (!known) throw new WireError(`a hash of ${showPath(entry.path)}, which is no file of it, or has one`);
    this.sums.push(entry);
  }

  /** Resolves when all content is there, and right. */
  async complete(): Promise<void> {
    await Promise.all(this.parts.map(({ done }) => done));
    for (const { path, extra } of this.sums) await this.verify(path, extra);
    if (!this.options.verify) return;
    const { agent, signal } = this.options;
    for (const { entry } of this.parts) {
      const [sum] = await hashOnHost(agent, { path: entry.extra, cwd: "" }, [EMPTY], { block: 0 }, signal);
      await this.verify(entry.path, sum);
    }
  }

  /** @param interrupted pieces are kept, if that was wished. */
  async dispose(interrupted: boolean): Promise<void> {
    const { resume, folder, place } = this.options;
    if (this.file) closeSync(this.file.descriptor);
    this.file = null;
    await Promise.allSettled(this.parts.map(({ done }) => done));
    if (interrupted && resume) {
      for (const { entry } of this.parts) {
        await keepPartial(place, resume, this.targetOf(entry), this.path(entry));
      }
    }
    await rm(folder, { recursive: true, force: true });
  }

  private startPart(entry: TreeEntry): void {
    const done = this.receivePart(entry);
    done.catch((error: unknown) => (this.broken ??= error instanceof Error ? error : new Error(String(error))));
    this.parts.push({ entry, done });
  }

  private async receivePart(entry: TreeEntry): Promise<void> {
    const { agent, lanes, count, signal } = this.options;
    const path = this.path(entry);
    const { file, kept } = await this.openPart(entry, path);
    try {
      const ranges = await rangesToGo(agent, entry.size, Math.min(kept, entry.size), path, entry.extra, signal);
      const toGo = ranges.reduce((sum, { size }) => sum + size, 0);
      count.passed(entry.size - toGo);
      await lanes.widen(toGo);
      await receiveRanges(lanes, file, entry, ranges, signal, count.passed);
      await file.truncate(entry.size);
      finishFile(file.fd, entry);
    } finally {
      await file.close();
    }
    count.file();
  }

  /** The file to fill: what was kept of it, or a new one. */
  private async openPart(entry: TreeEntry, path: Buffer): Promise<{ file: FileHandle; kept: number }> {
    const { resume, place } = this.options;
    const file = await open(path, "wx", 0o600);
    if (!resume) return { file, kept: 0 };
    try {
      await tidyPartials(place);
      const fresh = await file.stat();
      if (!(await claimPartial(place, resume, this.targetOf(entry), path, fresh))) return { file, kept: 0 };
      const taken = await openToFill(path);
      const found = await taken.stat();
      await file.close();
      if (isLike(found, fresh)) return { file: taken, kept: found.size };
      await taken.close();
      throw new Error(`somebody else has exchanged the hidden file ${path.toString("utf8")}`);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  private async verify(path: Buffer, expected: Buffer | undefined): Promise<void> {
    const [sum] = await hashFile(below(this.root, path), 0);
    if (!sum || !expected || !sum.equals(expected)) {
      throw new WireError(`another content of ${showPath(path)} than its hash says`);
    }
  }

  private path(entry: TreeEntry): Buffer {
    return below(this.root, entry.path);
  }

  private targetOf(entry: TreeEntry): Buffer {
    return below(Buffer.from(this.options.target, "utf8"), entry.path);
  }
}

function finishFile(descriptor: number, entry: TreeEntry): void {
  fchmodSync(descriptor, entry.mode);
  const time = secondsOf(entry.mtime);
  futimesSync(descriptor, time, time);
}
