/** How a folder that was collected in a hidden place gets to its own, here on the manager. */
import { chmod, lstat, lutimes, readdir, realpath, rename, rm, rmdir, stat, unlink, utimes } from "fs/promises";
import type { Stats } from "fs";
import { dirname } from "path";
import { type TreeEntry, below, keyOf } from "./entry";
import { secondsOf } from "./times";

/** What a sync does beside moving files. */
export interface Changes {
  /** What gets another mode and time. */
  readonly touched: readonly TreeEntry[];
  /** What is removed; a folder behind what is in it. */
  readonly gone: readonly TreeEntry[];
}

/**
 * Moves `staged` onto `target`. Modes and times of folders that are new are set last, with `changes` of all folders.
 * Rejects Error; conflicts are found before anything was changed.
 */
export async function placeFolder(
  staged: Buffer,
  target: Buffer,
  folders: readonly TreeEntry[],
  changes: Changes | null,
): Promise<void> {
  const merged = new Set<string>();
  if (await optional(stat(target))) {
    const gone = new Set(changes?.gone.map(({ path }) => keyOf(below(target, path))));
    await checkMerge(staged, target, gone);
    if (changes) await openUp(target, folders);
    for (const { path } of changes?.gone ?? []) await remove(target, below(target, path));
    await mergeFolder(staged, target, merged);
    // It may lie in the target, whose time is set below.
    await rm(dirname(staged.toString("utf8")), { recursive: true, force: true });
  } else {
    await rename(staged, target);
  }
  for (const entry of changes?.touched ?? []) await touch(below(target, entry.path), entry);
  // Last, because writing into a folder changes its time, and a read-only one can be neither filled nor moved.
  for (const entry of [...folders].reverse()) {
    const path = below(target, entry.path);
    if (!changes && merged.has(keyOf(path))) continue;
    await touch(path, entry);
  }
}

/**
 * Looks for conflicts before anything is moved, so that a refused folder has changed nothing. Below the folder that the
 * user named no link is followed.
 */
async function checkMerge(from: Buffer, to: Buffer, gone: ReadonlySet<string>): Promise<void> {
  for (const entry of await readdir(from, { encoding: "buffer", withFileTypes: true })) {
    const target = below(to, entry.name);
    const there = gone.has(keyOf(target)) ? null : await optional(lstat(target));
    if (!there) continue;
    if (entry.isDirectory() !== there.isDirectory()) {
      const [what, where] = entry.isDirectory() ? ["a folder", "a file or link"] : ["a file", "a folder"];
      throw new Error(`${what} cannot replace ${where}: ${target.toString("utf8")}`);
    }
    if (entry.isDirectory()) await checkMerge(below(from, entry.name), target, gone);
  }
}

/** File by file; the folders that were there already are noted in `merged`. */
async function mergeFolder(from: Buffer, to: Buffer, merged: Set<string>): Promise<void> {
  merged.add(keyOf(to));
  for (const entry of await readdir(from, { encoding: "buffer", withFileTypes: true })) {
    const [source, target] = [below(from, entry.name), below(to, entry.name)];
    if (entry.isDirectory() && (await optional(lstat(target)))) await mergeFolder(source, target, merged);
    else await rename(source, target);
  }
}

/** Folders that forbid it are made writable: their modes are set at the end. */
async function openUp(target: Buffer, folders: readonly TreeEntry[]): Promise<void> {
  for (const { path } of folders) {
    const folder = below(target, path);
    const there = await optional(lstat(folder));
    if (there?.isDirectory() === true && (there.mode & 0o300) !== 0o300)
      await chmod(folder, (there.mode & 0o777) | 0o700);
  }
}

async function remove(root: Buffer, path: Buffer): Promise<void> {
  await checkInside(root, path);
  const there = await optional(lstat(path));
  if (!there) return;
  if (!there.isDirectory()) await unlink(path);
  else {
    await rmdir(path).catch((error: unknown) => {
      // Something new is in it, which nobody wanted to go.
      if (!hasCode(error, "ENOTEMPTY")) throw error;
    });
  }
}

async function touch(path: Buffer, entry: TreeEntry): Promise<void> {
  const time = secondsOf(entry.mtime);
  if ((await lstat(path)).isSymbolicLink()) await lutimes(path, time, time);
  else {
    await chmod(path, entry.mode);
    await utimes(path, time, time);
  }
}

/** No link on the way may lead out of the folder that the user named. */
async function checkInside(root: Buffer, path: Buffer): Promise<void> {
  const folder = path.subarray(0, path.lastIndexOf(0x2f));
  const [real, inside] = await Promise.all([realpath(folder), realpath(root)]);
  if (real !== inside && !real.startsWith(`${inside}/`)) {
    throw new Error(`${folder.toString("utf8")} leads out of the folder`);
  }
}

/** Null where nothing is. Any other failure is the caller's to report. */
export async function optional(look: Promise<Stats>): Promise<Stats | null> {
  try {
    return await look;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return null;
    throw error;
  }
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
