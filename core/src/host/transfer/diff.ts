/** What a sync has to do, from what is at its source and what at its target. Pure. */
import { type TreeEntry, keyOf, parentOf } from "./entry";
import { isSameTime } from "./times";

export type Listing = ReadonlyMap<string, TreeEntry>;

export interface DiffOptions {
  /** Whether what is only at the target goes. */
  readonly delete: boolean;
  /** Whether size and time are not trusted. */
  readonly verify: boolean;
  /** What is left alone at the target, by its key. */
  readonly ignored: (entry: TreeEntry) => boolean;
}

export interface Diff {
  /** Not at the target, or of another kind there. */
  readonly created: readonly TreeEntry[];
  /** Other content, or another target of a link. */
  readonly changed: readonly TreeEntry[];
  /** Same size, but another time: only the content tells. */
  readonly doubtful: readonly TreeEntry[];
  /** Same content, other mode or time. */
  readonly touched: readonly TreeEntry[];
  /** Folders with another mode or time. */
  readonly folders: readonly TreeEntry[];
  /** Of the target; a folder behind what is in it. */
  readonly gone: readonly TreeEntry[];
  readonly unchanged: number;
}

export function compare(source: Listing, target: Listing, options: DiffOptions): Diff {
  const diff = {
    created: [] as TreeEntry[],
    changed: [] as TreeEntry[],
    doubtful: [] as TreeEntry[],
    touched: [] as TreeEntry[],
    folders: [] as TreeEntry[],
    unchanged: 0,
  };
  for (const [key, entry] of source) {
    const there = target.get(key);
    const what = there ? judge(entry, there, options.verify) : "created";
    if (what !== "unchanged") diff[what].push(entry);
    if (key !== "" && (what === "unchanged" || what === "folders")) diff.unchanged += 1;
  }
  return { ...diff, gone: options.delete ? leftOver(source, target, options.ignored) : [] };
}

/**
 * What a target has to be told: folders come before what is in them, so those on the way to a change are named, too, and
 * get their own times back.
 */
export function withFolders(source: Listing, changes: readonly TreeEntry[], gone: readonly TreeEntry[]): TreeEntry[] {
  const wanted = new Set(changes.map(({ path }) => keyOf(path)));
  for (const { path } of [...changes, ...gone]) {
    for (let folder = parentOf(keyOf(path)); folder !== null; folder = parentOf(folder)) {
      if (wanted.has(folder)) break;
      wanted.add(folder);
    }
  }
  wanted.add("");
  return [...source].filter(([key]) => wanted.has(key)).map(([, entry]) => entry);
}

type Verdict = "created" | "changed" | "doubtful" | "touched" | "folders" | "unchanged";

function judge(source: TreeEntry, target: TreeEntry, verify: boolean): Verdict {
  if (source.kind !== target.kind) return "created";
  const sameTime = isSameTime(source.mtime, target.mtime);
  const sameMode = source.mode === target.mode;
  switch (source.kind) {
    case "dir":
      return sameTime && sameMode ? "unchanged" : "folders";
    case "link":
      if (!source.extra.equals(target.extra)) return "changed";
      return sameTime ? "unchanged" : "touched";
    default:
      if (source.size !== target.size) return "changed";
      if (verify || !sameTime) return "doubtful";
      return sameMode ? "unchanged" : "touched";
  }
}

/** From the last to the first, so that a folder with something in it that stays is known to stay. */
function leftOver(source: Listing, target: Listing, ignored: (entry: TreeEntry) => boolean): TreeEntry[] {
  const gone: TreeEntry[] = [];
  const needed = new Set<string>();
  for (const [key, entry] of [...target].reverse()) {
    const there = source.get(key);
    const replaced = there !== undefined && (there.kind === "dir") !== (entry.kind === "dir");
    const stays = key === "" || needed.has(key) || (there && !replaced) || ignored(entry);
    const parent = parentOf(key);
    if (!stays) gone.push(entry);
    else if (parent !== null) needed.add(parent);
  }
  return gone;
}
