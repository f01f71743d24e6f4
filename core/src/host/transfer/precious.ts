/** Where a sync deletes nothing, by whatever name somebody comes to it: in the root, in the home directory, and in all it is in. */
import { realpath, stat } from "fs/promises";
import { homedir, userInfo } from "os";
import { dirname } from "path";
import { type TreeEntry, below, keyOf, parentOf, pathOf } from "./entry";

/** Rejects Error, before anything was deleted. The agent's `base/precious.py` does the same. */
export async function refusePrecious(root: Buffer, gone: readonly TreeEntry[]): Promise<void> {
  if (gone.length === 0) return;
  const never = await precious();
  for (const key of new Set(gone.map(({ path }) => parentOf(keyOf(path)) ?? ""))) {
    const folder = below(root, pathOf(key));
    const found = await identity(folder);
    if (found === null || !never.has(found)) continue;
    throw new Error(
      `${folder.toString("utf8")} is the root or the home directory, or holds it, so nothing is deleted in it: ` +
        "name a folder in it",
    );
  }
}

async function precious(): Promise<Set<string>> {
  const places = new Set<string>();
  for (const home of homes()) {
    for (const start of [home, await realpath(home).catch(() => "/")]) {
      // Behind `..` a name says nothing of where it leads.
      if (start.split("/").includes("..")) continue;
      for (let way = start; !places.has(way); way = dirname(way)) places.add(way);
    }
  }
  const found = await Promise.all([...places].map(identity));
  return new Set(found.filter((each): each is string => each !== null));
}

/** The one that the environment names, and the one of the account. */
function homes(): string[] {
  try {
    return [homedir(), userInfo().homedir].filter((home) => home.startsWith("/"));
  } catch {
    // An account without an entry.
    return [homedir()];
  }
}

/** Two paths lead to one folder if they agree on it, over links and bind mounts. */
async function identity(path: string | Buffer): Promise<string | null> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${String(dev)} ${String(ino)}`;
  } catch {
    return null;
  }
}
