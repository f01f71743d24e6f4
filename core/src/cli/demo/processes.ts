import { readFileSync, readdirSync, writeFileSync } from "fs";
import { setTimeout as sleep } from "timers/promises";
import { bootId, processStat } from "../../system";

/** A process, by what stays true of it alone: a pid is used again, a pid with its start time is not. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since boot. */
  readonly startTime: string;
}

/** Writes down which process it is, so that a later program knows it again. */
export function recordProcess(file: string, pid: number): void {
  const stat = processStat(pid);
  if (stat !== null) writeFileSync(file, `${bootId() ?? ""} ${pid} ${stat.start}\n`, { mode: 0o600 });
}

/** The recorded process if it still runs. Its pid alone would say nothing: it may be another process's by now. */
export function recordedProcess(file: string): ProcessIdentity | null {
  let fields: string[];
  try {
    fields = readFileSync(file, "utf8").trim().split(" ");
  } catch {
    return null;
  }
  const [boot, pid, startTime] = fields;
  if (boot !== bootId() || pid === undefined || startTime === undefined) return null;
  const identity = { pid: Number(pid), startTime };
  return isAlive(identity) ? identity : null;
}

const isAlive = ({ pid, startTime }: ProcessIdentity): boolean => processStat(pid)?.start === startTime;

/** All that descends from a process: parents before children, itself not among them. */
function descendants(root: number): ProcessIdentity[] {
  const children = new Map<number, ProcessIdentity[]>();
  for (const name of readdirSync("/proc")) {
    const pid = /^\d+$/.test(name) ? Number(name) : 0;
    const stat = pid === 0 ? null : processStat(pid);
    if (stat === null) continue;
    children.set(stat.parent, [...(children.get(stat.parent) ?? []), { pid, startTime: stat.start }]);
  }
  const below = (pid: number): ProcessIdentity[] =>
    (children.get(pid) ?? []).flatMap((child) => [child, ...below(child.pid)]);
  return below(root);
}

function signal(processes: readonly ProcessIdentity[], name: NodeJS.Signals): void {
  for (const candidate of processes) {
    if (!isAlive(candidate)) continue;
    try {
      process.kill(candidate.pid, name);
    } catch {
      // It has ended in the meantime.
    }
  }
}

async function waitForEnd(processes: readonly ProcessIdentity[], timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (processes.some(isAlive)) {
    if (Date.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}

/**
 * Ends a listener and everything below it. The listener is stopped before its sessions are looked for, so that no new one
 * comes up behind our back; the sessions get SIGTERM and two seconds. Gives what is still there.
 */
export async function endTree(listener: ProcessIdentity): Promise<ProcessIdentity[]> {
  signal([listener], "SIGSTOP");
  const sessions = descendants(listener.pid);
  signal([listener], "SIGKILL");
  signal(sessions, "SIGTERM");
  const all = [listener, ...sessions];
  if (await waitForEnd(all, 2000)) return [];
  signal(all, "SIGKILL");
  await waitForEnd(all, 2000);
  return all.filter(isAlive);
}
