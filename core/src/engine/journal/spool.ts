/**
 * Private files of this process for values that are too large for memory. They lie next to the journals, in a folder
 * per process; the folder of a process that was killed is removed by the next one on its machine that looks.
 */
import { randomBytes } from "crypto";
import { mkdirSync, rmSync } from "fs";
import { dirname, join } from "path";
import { processName } from "./identity";
import { enginesFolder, namesIn } from "./layout";
import { isLeftOver } from "./left-over";
import { giveSignsOfLife } from "./sign-of-life";

/** Those of this thread; the state directory may have been changed meanwhile. */
const used = new Set<string>();

/** A path that no file has yet, in a folder that nobody else can read. Throws what the file system says. */
export function spoolPath(): string {
  const folder = join(spoolsFolder(), processName());
  if (!used.has(folder)) {
    // First, so that nobody takes for left over what is about to be made.
    giveSignsOfLife();
    sweepSpools();
    used.add(folder);
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return join(folder, randomBytes(8).toString("hex"));
}

/** Removes what processes have left that are gone. Never throws. */
export function sweepSpools(): void {
  const folder = spoolsFolder();
  for (const name of namesIn(folder)) {
    try {
      const path = join(folder, name);
      if (isLeftOver(name, path)) rmSync(path, { recursive: true, force: true });
    } catch {
      // Another process may be removing the same one.
    }
  }
}

/** Removes all of this process. Never throws. */
export function removeSpool(): void {
  // The other thread may have made it.
  for (const folder of new Set([...used, join(spoolsFolder(), processName())])) {
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // The next process sweeps it.
    }
  }
}

/** Next to the journals. */
function spoolsFolder(): string {
  return join(dirname(enginesFolder()), "spool");
}
