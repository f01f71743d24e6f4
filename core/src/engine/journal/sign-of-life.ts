/**
 * Signs of life, for who does not see our processes: a file per process beside the journals, written anew every 30 s as long as
 * the process has something in the state directory, and removed at its end. Its time is the file system's, so that the
 * clocks of two machines need not agree.
 */
import { closeSync, constants, mkdirSync, openSync, rmSync, statSync, writeSync } from "fs";
import { dirname, join } from "path";
import { isMainThread } from "worker_threads";
import { type ProcessIdentity, nameOf, processName } from "./identity";
import { enginesFolder, namesIn } from "./layout";

/** [ms] */
const BEAT_MS = 30_000;
/** [ms] for which the file system's clock is taken to run as ours. */
const CLOCK_MS = 60_000;
/** Of the file that asks for the file system's time. */
const PROBE = ".clock";

/** Those of this thread; the state directory may have been changed meanwhile. */
const given = new Set<string>();

/** From now on, as long as this thread lives. Throws what the file system says. */
export function giveSignsOfLife(): void {
  const path = join(livingFolder(), processName());
  if (given.has(path)) return;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  touch(path);
  given.add(path);
  if (given.size > 1) return;
  setInterval(touchAll, BEAT_MS).unref();
  if (isMainThread) process.once("exit", endSignsOfLife);
}

/** The process ends. Never throws. */
export function endSignsOfLife(): void {
  // The other thread may have made it.
  for (const path of new Set([...given, join(livingFolder(), processName())])) {
    try {
      rmSync(path, { force: true });
    } catch {
      // It is silent from now on.
    }
  }
}

/** [ms] since the last sign of life of a process that has not ended by itself; infinite for one that has. */
export function silenceOf(who: ProcessIdentity): number {
  try {
    const seen = modified(join(livingFolder(), nameOf(who)));
    return seen === null ? Infinity : Math.max(0, fileSystemTime() - seen);
  } catch {
    // What cannot be looked at says nothing about it.
    return 0;
  }
}

/** All that there are, with who gave them. */
export function signsOfLife(): { readonly name: string; readonly path: string }[] {
  const folder = livingFolder();
  return namesIn(folder).map((name) => ({ name: name.replace(PROBE, ""), path: join(folder, name) }));
}

/** [ms] since the epoch, by the clock by which its files have their times. */
export function fileSystemTime(): number {
  const folder = livingFolder();
  if (clock?.folder !== folder || Date.now() - clock.asked > CLOCK_MS || Date.now() < clock.asked) {
    clock = { folder, asked: Date.now(), ahead: askClock(folder) };
  }
  return Date.now() + clock.ahead;
}

let clock: { readonly folder: string; readonly asked: number; readonly ahead: number } | null = null;

/** [ms] by which it is ahead of ours; 0 where that cannot be asked. */
function askClock(folder: string): number {
  const path = join(folder, `${processName()}${PROBE}`);
  try {
    touch(path);
    return (modified(path) ?? Date.now()) - Date.now();
  } catch {
    return 0;
  } finally {
    rmSync(path, { force: true });
  }
}

function livingFolder(): string {
  return join(dirname(enginesFolder()), "living");
}

function touchAll(): void {
  for (const path of given) {
    try {
      touch(path);
    } catch {
      // A full disk, or one that is away: the next time.
    }
  }
}

/** The same byte again needs no room on a full disk. */
function touch(path: string): void {
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    writeSync(file, "\n", 0);
  } finally {
    closeSync(file);
  }
}

function modified(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null;
}
