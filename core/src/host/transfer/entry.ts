/** What both directions of a transfer share: entries, their checks, progress. Pure. */
import { MAX_ENTRIES, MAX_NAME, MAX_PATHS, WireError } from "../../wire";

/**
 * `apart`: a file whose content comes otherwise. `sum`: the hash of a file that came before. `touch` and `gone`: of a
 * sync, what only gets another mode and time, and what is removed.
 */
export type EntryKind = "file" | "apart" | "dir" | "link" | "sum" | "touch" | "gone";

export interface TreeEntry {
  /** Names from the root down with `/` between them, exact bytes; empty: the root itself. */
  readonly path: Buffer;
  readonly kind: EntryKind;
  /** Permission bits. */
  readonly mode: number;
  /** [ns] since the epoch. */
  readonly mtime: bigint;
  /** [bytes] of a file. */
  readonly size: number;
  /** Target of a link, hash of a sum, place of an `apart` on the host. */
  readonly extra: Buffer;
}

/** What a transfer did. */
export interface TransferResult {
  readonly path: string;
  readonly bytes: number;
  readonly entries: number;
  /** What was left out, in words. */
  readonly notes: readonly string[];
}

export const EMPTY = Buffer.alloc(0);
const SLASH = 0x2f;

/** Checks that each entry may stand where it does, so that nothing is ever written outside the root. */
export class TreeCheck {
  private readonly kinds = new Map<string, EntryKind>();

  /** [bytes] of all paths and targets so far. */
  private bytes = 0;

  /** @param leaving links may lead anywhere: they are only looked at. */
  constructor(private readonly leaving = false) {}

  /** Gives its key. Throws WireError for an unsafe entry. */
  accept(entry: TreeEntry): string {
    const key = keyOf(entry.path);
    if (this.kinds.size >= MAX_ENTRIES) throw new WireError(`more than ${String(MAX_ENTRIES)} entries`);
    this.bytes += entry.path.length + entry.extra.length;
    if (this.bytes > MAX_PATHS) throw new WireError(`paths of more than ${String(MAX_PATHS)} bytes in all`);
    if (this.kinds.has(key)) throw new WireError(`${showPath(entry.path)} twice`);
    if (key === "") {
      if (this.kinds.size > 0 || !["file", "apart", "dir"].includes(entry.kind)) {
        throw new WireError("a root that is neither file nor folder");
      }
    } else this.checkPlace(key, entry);
    if (entry.kind === "link" && !this.leaving && !staysInside(depthOf(key), entry.extra)) {
      throw new WireError(`the link ${showPath(entry.path)}, which leads out of the folder`);
    }
    this.kinds.set(key, entry.kind);
    return key;
  }

  /** Whether a hash may come for it: for a file, and once. */
  acceptSum(path: Buffer): boolean {
    const key = keyOf(path);
    if (this.kinds.get(key) !== "file") return false;
    this.kinds.set(key, "sum");
    return true;
  }

  /** Every folder on the way has passed this itself. */
  private checkPlace(key: string, entry: TreeEntry): void {
    const slash = key.lastIndexOf("/");
    const name = key.slice(slash + 1);
    if (name.length > MAX_NAME) throw new WireError(`a name of ${String(name.length)} bytes`);
    if (["", ".", ".."].includes(name) || name.includes("\0") || slash === 0) {
      throw new WireError(`the unsafe name ${showPath(entry.path)}`);
    }
    if (this.kinds.get(slash < 0 ? "" : key.slice(0, slash)) !== "dir") {
      throw new WireError(`${showPath(entry.path)} outside of a folder that was sent`);
    }
    if (!["file", "apart", "dir", "link"].includes(entry.kind)) {
      throw new WireError(`${showPath(entry.path)} of kind ${entry.kind}`);
    }
  }
}

/**
 * Whether a link in a folder `depth` levels below the root leads to something within the root. `..` may only stand in
 * front: behind a name, which may itself be a link, it could lead anywhere.
 */
export function staysInside(depth: number, target: Buffer): boolean {
  if (target.length === 0 || target[0] === SLASH || target.includes(0)) return false;
  let up = 0;
  let named = false;
  for (const part of keyOf(target).split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") named = true;
    else if (named) return false;
    else up += 1;
  }
  return up <= depth;
}

/** How many folders of the tree a path lies in, the root not counted. */
export function depthOf(key: string): number {
  return key.split("/").length - 1;
}

export function showPath(path: Buffer): string {
  return JSON.stringify(path.toString("utf8"));
}

/** A path as a text that stands for its exact bytes. */
export function keyOf(path: Buffer): string {
  return path.toString("latin1");
}

/** Null for the root. */
export function parentOf(key: string): string | null {
  if (key === "") return null;
  const slash = key.lastIndexOf("/");
  return slash < 0 ? "" : key.slice(0, slash);
}

export function pathOf(key: string): Buffer {
  return Buffer.from(key, "latin1");
}

/** The path of an entry below `folder`. */
export function below(folder: Buffer, path: Buffer): Buffer {
  return path.length === 0 ? folder : Buffer.concat([folder, SEPARATOR, path]);
}

const SEPARATOR = Buffer.from("/");
