/**
 * Who goes on with a detached task whose process is gone: one process at a time. A claim is a numbered link beside the journal
 * that has the task; it names its process. The one with the highest number counts. It is never removed, only given back,
 * so that numbers never come again: whoever makes the next one has seen how the last one ended.
 */
import { readlinkSync, renameSync, rmSync, symlinkSync } from "fs";
import { join } from "path";
import { parseName, processName } from "./identity";
import { type EngineHistory, readJournals } from "./journal";
import { namesIn } from "./layout";
import { giveSignsOfLife } from "./sign-of-life";
import { isOurs, standingOf } from "./standing";

export interface Claim {
  /** Another process may have it now. Never throws. */
  release(): void;
}

/** What a claim names that was given back. */
const RELEASED = "released";

/**
 * Null when another one has it, or when it is not left alone any more. Throws what the file system says.
 *
 * @param force also where another machine has it, as far as is known here
 */
export function claimTask({ folder, engine }: EngineHistory, id: string, force = false): Claim | null {
  const isHeld = (standing: ReturnType<typeof standingOf>): boolean =>
    force ? standing === "alive" : isOurs(standing);
  const pathOf = (number: number): string => join(folder, `claim-${id}-${String(number)}`);
  for (;;) {
    const last = claimsIn(folder, id).at(-1) ?? 0;
    const holder = last === 0 ? null : readClaim(pathOf(last));
    const who = holder === null ? null : parseName(holder);
    if (who && isHeld(standingOf(who))) return null;
    giveSignsOfLife();
    const path = pathOf(last + 1);
    if (!makeClaim(path)) continue;
    const release = (): void => giveBack(path);
    const numbers = claimsIn(folder, id);
    // Made by what was seen long ago: it never counted.
    if (numbers.at(-1) !== last + 1) {
      rmSync(path, { force: true });
      continue;
    }
    for (const number of numbers.slice(0, -1)) rmSync(pathOf(number), { force: true });
    // Whoever had it until now may have ended it, or have it in a journal of its own.
    const now = readJournals().find(({ tasks }) => tasks.some((task) => task.id === id));
    const runs = now?.tasks.some((task) => task.id === id && task.state === "running") === true;
    if (runs && !isHeld(now.standing) && now.engine.id === engine.id) return { release };
    release();
    return null;
  }
}

/** Their numbers, in order. */
function claimsIn(folder: string, id: string): number[] {
  const prefix = `claim-${id}-`;
  return namesIn(folder)
    .flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []))
    .filter((number) => /^[1-9]\d{0,14}$/.test(number))
    .map(Number)
    .sort((a, b) => a - b);
}

/** Null when a later one has taken its place. */
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

/** At once. Where that cannot be written, it counts until this process ends. */
function giveBack(path: string): void {
  const next = `${path}.${RELEASED}`;
  try {
    rmSync(next, { force: true });
    symlinkSync(RELEASED, next);
    renameSync(next, path);
  } catch {
    // The journal is gone, or its disk is.
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : null;
}
