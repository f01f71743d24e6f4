/** What processes left in the state directory that are gone: when it may be removed. */
import { lstatSync } from "fs";
import { type ProcessIdentity, parseName } from "./identity";
import { fileSystemTime } from "./sign-of-life";
import { standingOf } from "./standing";

/** [ms] for which the history of engines that ended is kept, and whatever else one of another machine left. */
export const KEEP_MS = 30 * 24 * 3600 * 1000;

/** True for what a process of here left, and for what one of another machine did that is silent for a month. */
export function isLeftOver(name: string, path: string): boolean {
  const who = parseName(name);
  // What is none of ours stays.
  return who !== null && isGoneFor(0, who, path);
}

/** @param ms since the last change of the paths, for a process that is dead for sure; of others, a month */
export function isGoneFor(ms: number, who: ProcessIdentity, ...paths: readonly string[]): boolean {
  const standing = standingOf(who);
  if (standing !== "dead" && standing !== "silent") return false;
  const wanted = standing === "dead" ? ms : KEEP_MS;
  return wanted === 0 || fileSystemTime() - lastChange(paths) > wanted;
}

/** [ms] since the epoch. */
export function lastChange(paths: readonly string[]): number {
  return Math.max(...paths.map((path) => lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0));
}
