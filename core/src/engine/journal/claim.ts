/**
 * Who goes on with a detached task whose process is gone: one process at a time. A claim is a link beside the journal
 * that has the task. It names its process, and counts as long as that lives. The claim of a dead process stays, and the
 * next one has the next number: nobody ever removes what another one may just be making.
 */
import { readlinkSync, rmSync, symlinkSync } from "fs";
import { join } from "path";
import { type EngineHistory, readJournals } from "./journal";
import { isNameOfLiving, namesIn, processName } from "./layout";

export interface Claim {
  /** Another process may have it now. Never throws. */
  release(): void;
}

/** Null when another one has it, or when it is not left alone any more. Throws what the file system says. */
export function claimTask({ folder, engine }: EngineHistory, id: string): Claim | null {
  const pathOf = (number: number): string => join(folder, `claim-${id}-${String(number)}`);
  for (;;) {
    const last = lastClaim(folder, id);
    const holder = last === 0 ? null : readClaim(pathOf(last));
    if (holder !== null && isNameOfLiving(holder)) return null;
    const path = pathOf(last + 1);
    if (!makeClaim(path)) continue;
    const release = (): void => rmSync(path, { force: true });
    // Whoever had it until now may have ended it, or have it in a journal of its own.
    const now = readJournals().find(({ tasks }) => tasks.some((task) => task.id === id));
    const left = now?.tasks.some((task) => task.id === id && task.state === "running") === true && !now.alive;
    if (left && now.engine.id === engine.id) return { release };
    release();
    return null;
  }
}

/** 0: there is none. */
function lastClaim(folder: string, id: string): number {
  const prefix = `claim-${id}-`;
  const numbers = namesIn(folder).map((name) => (name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0));
  return Math.max(0, ...numbers.filter(Number.isSafeInteger));
}

/** Null when it was released meanwhile. */
function readClaim(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

/** A link is there with its content or not at all. False: another one was faster. */
function makeClaim(path: string): boolean {
  try {
    symlinkSync(processName(), path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : null;
}
