/** Where engines keep their journals, and how to tell a living engine from a dead one. */
import { readFileSync, readdirSync } from "fs";
import { homedir } from "os";
import { isAbsolute, join } from "path";

/** `engine.json`: who holds the journal. */
export interface EngineRecord {
  readonly id: string;
  readonly pid: number;
  /** The process's start in clock ticks since boot: a pid alone may be somebody else's by now. */
  readonly processStart: string | null;
  readonly bootId: string | null;
  /** [ms] since the epoch. */
  readonly startedAt: number;
  /** What the process calls itself, for people. */
  readonly title: string;
  readonly controlSocket: string;
}

export const ENGINE_FILE = "engine.json";
export const JOURNAL_FILE = "journal.jsonl";

/** What this user's engines keep: `LAZYCLUSTER_STATE_DIR`, else below the XDG state folder. */
export function stateFolder(env: NodeJS.ProcessEnv = process.env): string {
  const own = env["LAZYCLUSTER_STATE_DIR"];
  if (own) return own;
  const state = env["XDG_STATE_HOME"];
  return join(state && isAbsolute(state) ? state : join(homedir(), ".local", "state"), "lazycluster");
}

/** The folder of all journals of this user. */
export function enginesFolder(env: NodeJS.ProcessEnv = process.env): string {
  return join(stateFolder(env), "engines");
}

export function engineFolders(): string[] {
  const folder = enginesFolder();
  return namesIn(folder).map((name) => join(folder, name));
}

/** None where there is no such folder. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Null where there is none that can be read. */
export function readEngine(folder: string): EngineRecord | null {
  try {
    const record = JSON.parse(readFileSync(join(folder, ENGINE_FILE), "utf8")) as Partial<EngineRecord>;
    if (typeof record.id !== "string" || typeof record.pid !== "number" || typeof record.controlSocket !== "string")
      return null;
    return {
      id: record.id,
      pid: record.pid,
      processStart: record.processStart ?? null,
      bootId: record.bootId ?? null,
      startedAt: record.startedAt ?? 0,
      title: record.title ?? "",
      controlSocket: record.controlSocket,
    };
  } catch {
    return null;
  }
}

/** True while the very process that wrote the record runs. */
export function isAlive(record: Pick<EngineRecord, "pid" | "processStart" | "bootId">): boolean {
  if (record.bootId !== null && record.bootId !== bootId()) return false;
  if (record.processStart !== null) return processStart(record.pid) === record.processStart;
  try {
    process.kill(record.pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Null where the system does not tell. */
export function bootId(): string | null {
  return readOrNull("/proc/sys/kernel/random/boot_id")?.trim() ?? null;
}

/** Null when there is no such process (any more), or the system does not tell. */
export function processStart(pid: number): string | null {
  const stat = readOrNull(`/proc/${String(pid)}/stat`);
  // The second field is the name in brackets, which may hold anything; the 3rd is the state, the 20th the number of threads.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  // All that is left of it is what its parent has not asked for; where another thread remains, that may still write.
  if (fields?.[0] === "Z" && Number(fields[17]) <= 1) return null;
  return fields?.[19] ?? null;
}

let own: string | null = null;

/** Names what belongs to this process: both its threads have the same. */
export function processName(): string {
  own ??= [process.pid, processStart(process.pid) ?? "", bootId() ?? ""].join("_");
  return own;
}

/** True for a name that `processName()` did not make: what is none of ours stays. */
export function isNameOfLiving(name: string): boolean {
  const [pid = "", start = "", boot = ""] = name.split("_");
  if (!/^[1-9]\d*$/.test(pid)) return true;
  return isAlive({ pid: Number(pid), processStart: start === "" ? null : start, bootId: boot === "" ? null : boot });
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
