/**
 * Private files of this process for values that are too large for memory. They lie next to the journals, in a folder
 * per process; the folder of a process that was killed is removed by the next one that looks.
 */
import { randomBytes } from "crypto";
import { mkdirSync, readdirSync, rmSync } from "fs";
import { dirname, join } from "path";
import { bootId, enginesFolder, isAlive, processStart } from "./layout";

/** Those of this thread; the state directory may have been changed meanwhile. */
const used = new Set<string>();
let own: string | null = null;

/** A path that no file has yet, in a folder that nobody else can read. Throws what the file system says. */
export function spoolPath(): string {
  const folder = join(spoolsFolder(), ownName());
  if (!used.has(folder)) {
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
    if (isNameOfLiving(name)) continue;
    try {
      rmSync(join(folder, name), { recursive: true, force: true });
    } catch {
      // Another process may be removing the same one.
    }
  }
}

/** Removes all of this process. Never throws. */
export function removeSpool(): void {
  // The other thread may have made it.
  for (const folder of new Set([...used, join(spoolsFolder(), ownName())])) {
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

/** Who it belongs to: both threads of a process have the same. */
function ownName(): string {
  own ??= [process.pid, processStart(process.pid) ?? "", bootId() ?? ""].join("_");
  return own;
}

function isNameOfLiving(name: string): boolean {
  const [pid = "", start = "", boot = ""] = name.split("_");
  // What is none of ours stays.
  if (!/^[1-9]\d*$/.test(pid)) return true;
  return isAlive({ pid: Number(pid), processStart: start === "" ? null : start, bootId: boot === "" ? null : boot });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
