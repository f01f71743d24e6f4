/** Kept pieces of big files whose transfer to here was interrupted: hidden files beside the target, few and not for long. */
import { createHash } from "crypto";
import { chmod, readdir, rename, rm, stat, utimes } from "fs/promises";
import { join } from "path";

const PREFIX = ".lazycluster-partial-";
/** In a folder at once; the oldest go first. */
const LIMIT = 8;
/** [ms] until one is removed by the next transfer that looks into the folder. */
const EXPIRY_MS = 7 * 24 * 3600 * 1000;

/** @param target what it shall become. The agent's `partials.py` makes the same names. */
export function partialPath(place: string, target: Buffer): string {
  return join(place, PREFIX + createHash("sha256").update(target).digest("hex").slice(0, 16));
}

/** Moves a kept piece to where it is filled, and gives its size [bytes]; 0: there is none. Only one can have it. */
export async function claimPartial(place: string, target: Buffer, staged: Buffer): Promise<number> {
  try {
    await rename(partialPath(place, target), staged);
    return (await stat(staged)).size;
  } catch {
    return 0;
  }
}

/** Never rejects: a piece that cannot be kept is lost. */
export async function keepPartial(place: string, target: Buffer, staged: Buffer): Promise<void> {
  try {
    const now = new Date();
    await chmod(staged, 0o600);
    await utimes(staged, now, now);
    await rename(staged, partialPath(place, target));
  } catch {
    return;
  }
  await tidyPartials(place);
}

export async function tidyPartials(place: string): Promise<void> {
  const names = (await readdir(place).catch(() => [])).filter((name) => name.startsWith(PREFIX));
  const found = await Promise.all(
    names.map(async (name) => {
      const path = join(place, name);
      const changed = await stat(path).catch(() => null);
      return { path, time: changed?.isFile() === true ? changed.mtimeMs : Infinity };
    }),
  );
  found.sort((a, b) => b.time - a.time);
  const oldest = Date.now() - EXPIRY_MS;
  for (const [index, { path, time }] of found.entries()) {
    if (index >= LIMIT || time < oldest) await rm(path, { force: true }).catch(() => undefined);
  }
}
