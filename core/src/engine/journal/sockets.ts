/**
 * Where the control sockets of this user's engines lie: below a folder per user, each in a folder of its own that names its
 * process. What a process leaves that was killed is removed by the next engine.
 */
import { lstatSync, mkdirSync, rmSync, rmdirSync } from "fs";
import { tmpdir } from "os";
import { dirname, join } from "path";
import { ownIdentity, placeName } from "./identity";
import { namesIn } from "./layout";
import { standingOf } from "./standing";

/** Of the path of a socket on Linux. */
const MOST_BYTES = 107;

/** Makes the folder for an engine's socket, private (0700): nobody else can even try to connect. Throws what the file system says. */
export function makeSocketPath(engine: string): string {
  // Short, for the path of a socket has less than 108 bytes.
  const all = socketsFolder();
  const folder = join(all, `${ownPrefix()}${engine.slice(-6)}`);
  const path = join(folder, "s");
  // What is longer is cut off without a word, and leads elsewhere.
  if (Buffer.byteLength(path) > MOST_BYTES)
    throw new Error(`${path} is too long for a socket: set TMPDIR to a shorter path`);
  for (let attempt = 1; ; attempt++) {
    try {
      mkdirSync(all, { recursive: true, mode: 0o700 });
      if (!isPrivate(all)) throw new Error(`${all} is not a private folder of this user: remove it, or set TMPDIR`);
      mkdirSync(folder, { mode: 0o700 });
      return path;
    } catch (error) {
      // An engine that has just ended took the empty folder of all away.
      if (attempt === 3 || !(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }
}

/** With its folder. Never throws. */
export function removeSocket(path: string): void {
  remove(dirname(dirname(path)), [dirname(path)]);
}

/** Removes those of this process. Never throws. */
export function removeSockets(): void {
  const prefix = ownPrefix();
  removeIf((name) => name.startsWith(prefix));
}

/** Removes what processes have left that are gone. Never throws. What containers have that share the folder is theirs. */
export function sweepSockets(): void {
  removeIf((name) => {
    const [pid = "", start = "", place] = name.split("_");
    if (!/^[1-9]\d*$/.test(pid) || place !== placeName()) return false;
    return standingOf({ ...ownIdentity(), pid: Number(pid), processStart: start || null }) === "dead";
  });
}

function removeIf(isOver: (name: string) => boolean): void {
  const all = socketsFolder();
  if (!isPrivate(all)) return;
  const over = namesIn(all).filter(isOver);
  if (over.length > 0)
    remove(
      all,
      over.map((name) => join(all, name)),
    );
}

function remove(all: string, folders: readonly string[]): void {
  try {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    // Refused while it holds those of others.
    rmdirSync(all);
  } catch {
    // Another process may be removing the same ones.
  }
}

function socketsFolder(): string {
  return join(tmpdir(), `lazycluster-control-${String(userId())}`);
}

function ownPrefix(): string {
  return `${String(process.pid)}_${ownIdentity().processStart ?? ""}_${placeName()}_`;
}

function userId(): number {
  return process.getuid?.() ?? 0;
}

/** Somebody else may have made it, where everybody can. */
function isPrivate(folder: string): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === userId() && (found.mode & 0o077) === 0;
}
