/** What is in a local folder, and what of it shall travel. */
import { type BigIntStats, lstatSync, readFileSync, readdirSync, readlinkSync, realpathSync, statSync } from "fs";
import { EMPTY, type TreeEntry, below, depthOf, keyOf, pathOf, showPath, staysInside } from "./entry";
import { IGNORE_FILE, IgnoreRules } from "./ignore";
import type { Slices } from "./slices";
import { clampTime } from "./times";

/** An entry, and where its content is read. */
export interface Planned extends TreeEntry {
  readonly source: Buffer;
}

export interface Plan {
  readonly entries: readonly Planned[];
  readonly notes: readonly string[];
  /** [bytes] of all files. */
  readonly bytes: number;
  readonly files: number;
  readonly rules: IgnoreRules;
}

interface ScanOptions {
  /** A link that leaves the tree is taken as it is; else what it leads to comes along. */
  readonly leaving: boolean;
  /** Whether what `.lazyignore` files name is left out. */
  readonly ignoring: boolean;
}

/** Everything is looked at first: totals are known, and what cannot be sent is found before anything was. Rejects Error. */
export async function scan(localPath: string, slices: Slices, options: ScanOptions): Promise<Plan> {
  const root = Buffer.from(realpathSync(localPath), "utf8");
  const stats = statSync(root, { bigint: true });
  if (!stats.isFile() && !stats.isDirectory()) throw new Error("it is neither a file nor a folder");
  const scanner = new Scanner(options);
  scanner.visit("", root);
  // A stack instead of recursion, for a tree may be deeper than ours.
  for (let next = scanner.next(); next; next = scanner.next()) {
    scanner.visit(next, below(root, pathOf(next)));
    if (slices.over) await slices.pause();
  }
  return planOf(scanner.entries, scanner.notes, scanner.rules);
}

export function planOf(entries: readonly Planned[], notes: readonly string[], rules: IgnoreRules): Plan {
  const files = entries.filter(({ kind }) => kind === "file");
  return { entries, notes, rules, files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) };
}

class Scanner {
  readonly entries: Planned[] = [];
  readonly notes: string[] = [];
  readonly rules = new IgnoreRules();
  private readonly waiting: string[] = [];

  constructor(private readonly options: ScanOptions) {}

  next(): string | undefined {
    return this.waiting.pop();
  }

  visit(key: string, source: Buffer): void {
    const stats = lstatSync(source, { bigint: true });
    if (this.options.ignoring && key !== "" && this.rules.ignores(key, stats.isDirectory())) return;
    if (stats.isDirectory()) {
      this.add("dir", key, stats, source);
      this.list(key, source);
    } else if (stats.isFile()) this.add("file", key, stats, source);
    else if (stats.isSymbolicLink()) this.visitLink(key, stats, source);
    else this.notes.push(`${showPath(pathOf(key))} was left out: it is neither file, folder nor link`);
  }

  private list(key: string, source: Buffer): void {
    const names = readdirSync(source, { encoding: "buffer" }).map(keyOf);
    if (this.options.ignoring && names.includes(IGNORE_FILE)) this.readRules(key, source);
    const prefix = key === "" ? "" : `${key}/`;
    names.sort((a, b) => (a < b ? 1 : -1));
    for (const name of names) this.waiting.push(prefix + name);
  }

  private readRules(key: string, source: Buffer): void {
    const file = below(source, Buffer.from(IGNORE_FILE));
    if (lstatSync(file).isFile()) this.rules.add(key, readFileSync(file));
  }

  private visitLink(key: string, stats: BigIntStats, source: Buffer): void {
    const target = readlinkSync(source, { encoding: "buffer" });
    if (this.options.leaving || staysInside(depthOf(key), target)) {
      this.add("link", key, stats, source, target);
      return;
    }
    const followed = followLink(source);
    if (followed?.isFile()) this.add("file", key, followed, realpathSync(source, { encoding: "buffer" }));
    else if (followed === null) {
      this.notes.push(`${showPath(pathOf(key))} was left out: a link that leads nowhere`);
    } else {
      throw new Error(
        `the link ${source.toString("utf8")} leads to a folder outside of what is sent: send that folder itself`,
      );
    }
  }

  private add(kind: "file" | "dir" | "link", key: string, stats: BigIntStats, source: Buffer, extra = EMPTY): void {
    this.entries.push({
      path: pathOf(key),
      kind,
      mode: Number(stats.mode & 0o777n),
      mtime: clampTime(stats.mtimeNs),
      size: kind === "file" ? Number(stats.size) : 0,
      extra,
      source,
    });
  }
}

/** Rules are texts; names may be any bytes. */
export function textOf(key: string): string {
  return pathOf(key).toString("utf8");
}

function followLink(source: Buffer): BigIntStats | null {
  try {
    return statSync(source, { bigint: true });
  } catch {
    return null;
  }
}
