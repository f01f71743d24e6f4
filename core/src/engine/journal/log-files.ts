/**
 * The two files of an execution log, opened once: all that is written goes through these descriptors. A folder may be others' as
 * well, who could put a link in the place of a file: by its name nothing is written, and no link is followed.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, readSync } from "fs";
import { dirname } from "path";
import { INDEX_SUFFIX } from "./log-index";

export interface LogFiles {
  readonly log: number;
  readonly index: number;
}

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

/** Makes them, and the folders on the way there, for this user alone. Throws what the file system says. */
export function createLogFiles(path: string): LogFiles {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return openBoth(path, (file) => openSync(file, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
}

/** Those of a writer that died. Throws what the file system says, and for what is no file that we made. */
export function reopenLogFiles(path: string): LogFiles {
  return openBoth(path, (file) => {
    const fd = openSync(file, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
    const found = fstatSync(fd);
    // Another name for a file would be another file.
    if (found.isFile() && found.nlink === 1 && found.uid === (process.getuid?.() ?? found.uid)) return fd;
    closeSync(fd);
    throw new Error(`${file} is no file that lazycluster made`);
  });
}

/** To read; a link that somebody put there is none. Throws what the file system says. */
export function openLogToRead(path: string): number {
  return openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
}

/** Each is closed for sure; gives what went wrong with the first that was not closed well. */
export function closeLogFiles({ log, index }: LogFiles): Error | null {
  const failures = [log, index].flatMap((fd) => {
    try {
      closeSync(fd);
      return [];
    } catch (error) {
      // What was written may be lost: some file systems say only now that a disk is full.
      return [error instanceof Error ? error : new Error(String(error))];
    }
  });
  return failures[0] ?? null;
}

/** From its beginning. */
export function readWhole(fd: number): Buffer {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  let filled = 0;
  while (filled < bytes.length) {
    const count = readSync(fd, bytes, filled, bytes.length - filled, filled);
    if (count === 0) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

function openBoth(path: string, open: (file: string) => number): LogFiles {
  const log = open(path);
  try {
    return { log, index: open(path + INDEX_SUFFIX) };
  } catch (error) {
    closeSync(log);
    throw error;
  }
}
