import { readFileSync, readdirSync, writeFileSync } from "fs";
import { setTimeout as sleep } from "timers/promises";

/** A process, by what stays true of it alone: a pid is used again, a pid with its start time is not. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since boot. */
  readonly startTime: string;
}

interface ProcessStat extends ProcessIdentity {
  readonly parent: number;
}

function readStat(pid: number): ProcessStat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command in brackets, and may itself hold brackets and spaces.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const [state, parent] = fields;
    const startTime = fields[19];
    // A zombie has ended; it only waits for its parent.
    if (state === "Z" || state === "X" || parent === undefined || startTime === undefined) return null;
    return { pid, parent: Number(parent), startTime };
  } catch {
    return null;
  }
}

const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

/** Writes down which process it is, so that a later program knows it again. */
export function recordProcess(file: string, pid: number): void {
  const stat = readStat(pid);
  if (stat !== null) writeFileSync(file, `${bootId()} ${stat.pid} ${stat.startTime}\n`, { mode: 0o600 });
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

const isAlive = ({ pid, startTime }: ProcessIdentity): boolean => readStat(pid)?.startTime === startTime;

/** All that descends from a process: parents before children, itself not among them. */
function descendants(root: number): ProcessIdentity[] {
  const children = new Map<number, ProcessStat[]>();
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? readStat(Number(name)) : null;
    if (stat !== null) children.set(stat.parent, [...(children.get(stat.parent) ?? []), stat]);
  }
  const below = (pid: number): ProcessStat[] =>
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
