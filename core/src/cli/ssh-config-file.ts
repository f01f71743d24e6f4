/** Ssh config files on disk: read, and written as a whole or not at all. */
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "fs";
import { homedir } from "os";
import { dirname, join } from "path";
import { CommandFailure, EXIT } from "./output";

/** @param given null: the user's own. */
export function configPath(given: string | null): string {
  return given ?? join(homedir(), ".ssh", "config");
}

/** Each character is a byte, so that nothing changes that is no UTF-8. Empty where there is none. Throws CommandFailure. */
export function readConfig(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw new CommandFailure(`${path} cannot be read: ${String(error)}`, EXIT.failed);
  }
}

/**
 * By a rename beside it; a link stays a link, and mode and owner stay. Throws CommandFailure, also when the file is no
 * longer what was read.
 *
 * @param text each character is a byte, as in what `readConfig` gives.
 */
export function replaceConfig(path: string, former: string, text: string): void {
  let target = path;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    target = realTarget(path);
    const old = statSync(target, { throwIfNoEntry: false });
    const temporary = `${target}.lazycluster-${String(process.pid)}`;
    try {
      const file = openSync(temporary, "wx", 0o600);
      try {
        if (old) {
          fchmodSync(file, old.mode & 0o7777);
          if (process.getuid?.() === 0) fchownSync(file, old.uid, old.gid);
        }
        writeFileSync(file, text, "latin1");
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      if (readConfig(target) !== former) {
        throw new CommandFailure(`${path} was changed by somebody else in this moment; try again.`, EXIT.failed);
      }
      renameSync(temporary, target);
    } finally {
      rmSync(temporary, { force: true });
    }
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw new CommandFailure(`${path} cannot be written: ${String(error)}`, EXIT.failed);
  }
}

function realTarget(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
