/** Where engines keep their journals, and who they are. */
import { readFileSync, readdirSync } from "fs";
import { homedir } from "os";
import { isAbsolute, join } from "path";
import type { ProcessIdentity } from "./identity";

/** `engine.json`: who holds the journal. */
export interface EngineRecord extends ProcessIdentity {
  readonly id: string;
  /** What its machine calls itself, for people. */
  readonly hostname: string;
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
      pidNamespace: record.pidNamespace ?? null,
      machine: record.machine ?? null,
      hostname: record.hostname ?? "",
      startedAt: record.startedAt ?? 0,
      title: record.title ?? "",
      controlSocket: record.controlSocket,
    };
  } catch {
    return null;
  }
}
