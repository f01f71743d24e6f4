/** What both directions of a transfer share: entries, their checks, progress. Pure. */
import { type Header, MAX_ENTRIES, MAX_PATH, WireError } from "../wire";

export interface TreeEntry {
  /** Names from the root down, exact bytes; empty: the root itself. */
  readonly path: readonly Buffer[];
  readonly kind: "file" | "dir" | "link";
  /** Permission bits. */
  readonly mode: number;
  /** [ns] since the epoch. */
  readonly mtime: bigint;
  /** [bytes] of a file. */
  readonly size: number;
  /** Of a link. */
  readonly target: Buffer;
}

export interface Progress {
  readonly bytes: number;
  readonly totalBytes: number | null;
  readonly files: number;
  readonly totalFiles: number | null;
}

/** What a transfer did. */
export interface TransferResult {
  readonly path: string;
  readonly bytes: number;
  readonly entries: number;
  /** What was left out, in words. */
  readonly notes: readonly string[];
}

const EMPTY = Buffer.alloc(0);
const SLASH = 0x2f;

/** An `entry` message. Throws WireError for one of a wrong form; whether it may stand here is `TreeCheck`'s to say. */
export function readEntry(header: Header): TreeEntry {
  const kind = header.text("kind");
  if (kind !== "file" && kind !== "dir" && kind !== "link")
    throw new WireError(`an entry of kind ${JSON.stringify(kind)}`);
  return {
    path: header.bytesList("path"),
    kind,
    mode: header.integer("mode") & 0o777,
    mtime: header.bigint("mtime"),
    size: kind === "file" ? header.integer("size") : 0,
    target: kind === "link" ? header.bytes("target") : EMPTY,
  };
}

/** Checks that each entry may stand where it does, so that nothing is ever written outside the root. */
export class TreeCheck {
  private readonly kinds = new Map<string, TreeEntry["kind"]>();

  /** Throws WireError for an unsafe entry. */
  accept(entry: TreeEntry): void {
    const shown = showPath(entry.path);
    for (const name of entry.path) {
      if (name.length === 0 || name.includes(SLASH) || name.includes(0) || isDots(name)) {
        throw new WireError(`the unsafe name ${shown}`);
      }
    }
    const key = keyOf(entry.path);
    if (key.length > MAX_PATH) throw new WireError(`a path of ${String(key.length)} bytes`);
    if (this.kinds.size >= MAX_ENTRIES) throw new WireError(`more than ${String(MAX_ENTRIES)} entries`);
    if (this.kinds.has(key)) throw new WireError(`${shown} twice`);
    if (entry.path.length === 0) {
      if (this.kinds.size > 0 || entry.kind === "link") throw new WireError("a root that is neither file nor folder");
    } else if (this.kinds.get(keyOf(entry.path.slice(0, -1))) !== "dir") {
      throw new WireError(`${shown} outside of a folder that was sent`);
    }
    if (entry.kind === "link" && !staysInside(entry.path.length - 1, entry.target)) {
      throw new WireError(`the link ${shown}, which leads out of the folder`);
    }
    this.kinds.set(key, entry.kind);
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
  for (const part of splitPath(target)) {
    if (part.length === 0 || part.equals(DOT)) continue;
    if (!part.equals(DOTDOT)) named = true;
    else if (named) return false;
    else up += 1;
  }
  return up <= depth;
}

export function showPath(path: readonly Buffer[]): string {
  return JSON.stringify(path.map((name) => name.toString("utf8")).join("/"));
}

const DOT = Buffer.from(".");
const DOTDOT = Buffer.from("..");

function isDots(name: Buffer): boolean {
  return name.equals(DOT) || name.equals(DOTDOT);
}

function keyOf(path: readonly Buffer[]): string {
  return path.map((name) => name.toString("latin1")).join("/");
}

function splitPath(path: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let start = 0;
  for (let at = path.indexOf(SLASH); at >= 0; at = path.indexOf(SLASH, start)) {
    parts.push(path.subarray(start, at));
    start = at + 1;
  }
  parts.push(path.subarray(start));
  return parts;
}
