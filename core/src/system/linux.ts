/** What Linux tells of processes, and of where this one runs. Everything is null where the system does not tell. */
import { readFileSync, readlinkSync } from "node:fs";

export interface ProcessStat {
  readonly parent: number;
  /** In clock ticks since boot: a pid is used again, a pid with its start is not. */
  readonly start: string;
}

/** Null when there is no such process (any more), or only what its parent has not asked for. */
export function processStat(pid: number): ProcessStat | null {
  const stat = seesOwnProcesses() ? readOrNull(`/proc/${String(pid)}/stat`) : null;
  if (stat === null) return null;
  // The second field is the name in brackets, which may hold anything; the 3rd is the state, the 20th the number of threads.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, parent] = fields;
  const start = fields[19];
  // Where another thread remains, that may still write.
  if (state === "X" || (state === "Z" && Number(fields[17]) <= 1)) return null;
  return parent === undefined || start === undefined ? null : { parent: Number(parent), start };
}

/** The same for all processes of one start of a kernel, in whatever container. */
export const bootId = once(() => readOrNull("/proc/sys/kernel/random/boot_id")?.trim() ?? null);

/** Such as `pid:[4026531836]`; the same for all that share it, at one time and on one kernel. */
export const pidNamespace = once(() => linkOrNull("/proc/self/ns/pid"));
export const networkNamespace = once(() => linkOrNull("/proc/self/ns/net"));

/** Namespaces of processes that a kernel starts with. */
export const FIRST_PID_NAMESPACE = "pid:[4026531836]";

/** What the system calls itself for good; copies of one image may share it. */
export const machineId = once(
  () => (readOrNull("/etc/machine-id") ?? readOrNull("/var/lib/dbus/machine-id"))?.trim() || null,
);

/** False in a new namespace whose `/proc` is still the former one's: its pids are not ours. */
const seesOwnProcesses = once(() => linkOrNull("/proc/self") === String(process.pid));

function once<T>(read: () => T): () => T {
  let known: { readonly value: T } | null = null;
  return () => (known ??= { value: read() }).value;
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function linkOrNull(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}
