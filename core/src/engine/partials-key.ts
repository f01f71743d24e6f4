/** A secret of the user's, the same for all engines: it names the kept pieces of interrupted transfers, which nobody else shall guess. */
import { randomBytes } from "crypto";
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "fs";
import { join } from "path";
import { stateFolder } from "./journal";

const SIZE = 32;
let known: Buffer | null = null;

/** Never throws: where it cannot be kept, it is one for this process only. */
export function partialsKey(): Buffer {
  known ??= read() ?? make() ?? randomBytes(SIZE);
  return known;
}

function path(): string {
  return join(stateFolder(), "partials.key");
}

/** Null where there is none that only the user can know. */
function read(): Buffer | null {
  try {
    const file = openSync(path(), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(file);
      if (!stats.isFile() || stats.uid !== process.geteuid?.() || (stats.mode & 0o077) !== 0) return null;
      const key = readFileSync(file);
      return key.length === SIZE ? key : null;
    } finally {
      closeSync(file);
    }
  } catch {
    return null;
  }
}

/** Whole or not at all; who comes second takes that of the first. Null where that is not possible. */
function make(): Buffer | null {
  const temporary = `${path()}-${randomBytes(6).toString("hex")}`;
  try {
    mkdirSync(stateFolder(), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, randomBytes(SIZE), { flag: "wx", mode: 0o600 });
    try {
      linkSync(temporary, path());
    } finally {
      rmSync(temporary, { force: true });
    }
  } catch {
    // It is there by now, or cannot be made.
  }
  return read();
}
