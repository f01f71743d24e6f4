/**
 * Kept pieces of big files whose transfer to here was interrupted: hidden files beside the target, few and not for long.
 * Others may write into the folder, too: their names hold a secret of the user, and only what is surely our own is taken.
 */
import { type Stats } from "fs";
import { createHash } from "crypto";
import { lstat, readdir, rename, rm } from "fs/promises";
import { join } from "path";
import { openFile } from "./open";

const PREFIX = ".lazycluster-partial-";
/** In a folder at once; the oldest go first. */
const LIMIT = 8;
/** [ms] until one is removed by the next transfer that looks into the folder. */
const EXPIRY_MS = 7 * 24 * 3600 * 1000;

/**
 * @param key the user's secret.
 * @param target what it shall become. The agent's `files/partials.py` makes names in the same way.
 */
export function partialPath(place: string, key: Buffer, target: Buffer): string {
  return join(place, PREFIX + createHash("sha256").update(key).update(target).digest("hex").slice(0, 16));
}

/** The secret for one host: what it learns of it is of no use elsewhere. */
export function keyForHost(key: Buffer, host: string): Buffer {
  return createHash("sha256").update(key).update(`\0${host}`).digest();
}

/**
 * Moves a kept piece to where it is filled, in the place of the empty file there; false: there is none. Only one can have it.
 *
 * @param fresh what that file is like.
 */
export async function claimPartial(
  place: string,
  key: Buffer,
  target: Buffer,
  staged: Buffer,
  fresh: Stats,
): Promise<boolean> {
  const path = partialPath(place, key, target);
  try {
    if (!isLike(await lstat(path), fresh)) return false;
    await rename(path, staged);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether it may be one of ours: as private as what we have just made beside it, and under one name only. To ask who we
 * are would not do: some file systems give all files to one user, and know no modes.
 */
export function isLike(found: Stats, fresh: Stats): boolean {
  return found.isFile() && found.uid === fresh.uid && found.mode === fresh.mode && found.nlink === 1;
}

/** Never rejects: a piece that cannot be kept is lost. */
export async function keepPartial(place: string, key: Buffer, target: Buffer, staged: Buffer): Promise<void> {
  try {
    const file = await openFile(staged);
    try {
      const now = new Date();
      await file.chmod(0o600);
      await file.utimes(now, now);
    } finally {
      await file.close();
    }
    await rename(staged, partialPath(place, key, target));
  } catch {
    return;
  }
  await tidyPartials(place);
}

/** Of our own: what others keep in the same folder is theirs. */
export async function tidyPartials(place: string): Promise<void> {
  const names = (await readdir(place).catch(() => [])).filter((name) => name.startsWith(PREFIX));
  const found: { path: string; time: number }[] = [];
  for (const name of names) {
    const path = join(place, name);
    const stats = await lstat(path).catch(() => null);
    if (stats?.isFile() === true && stats.uid === process.geteuid?.()) found.push({ path, time: stats.mtimeMs });
  }
  found.sort((a, b) => b.time - a.time);
  const oldest = Date.now() - EXPIRY_MS;
  for (const [index, { path, time }] of found.entries()) {
    if (index >= LIMIT || time < oldest) await rm(path, { force: true }).catch(() => undefined);
  }
}
