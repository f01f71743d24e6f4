/** The processes of one host, read from this machine's /proc. */

import { readFileSync, readdirSync, readlinkSync } from "node:fs";

export interface HostProcess {
  /** As the host sees it. */
  readonly pid: number;
  readonly ppid: number;
  readonly args: string;
  /** As this machine sees it. */
  readonly outerPid: number;
}

/** All processes for which `belongs` holds, without zombies. */
export function listProcesses(belongs: (proc: string) => boolean): HostProcess[] {
  const found: { outer: number; inner: number; outerParent: number; args: string }[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const proc = `/proc/${name}`;
    try {
      if (!belongs(proc)) continue;
      const status = readFileSync(`${proc}/status`, "latin1");
      const field = (key: string): string => new RegExp(`^${key}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
      if (field("State").startsWith("Z")) continue;
      const args = readFileSync(`${proc}/cmdline`, "utf8").split("\0").join(" ").trim();
      found.push({
        outer: Number(name),
        inner: Number(field("NSpid").split(/\s+/).at(-1)),
        outerParent: Number(field("PPid")),
        args: args === "" ? `[${field("Name")}]` : args,
      });
    } catch {
      // it ended meanwhile
    }
  }
  const inner = new Map(found.map((entry) => [entry.outer, entry.inner]));
  return found.map((entry) => ({
    pid: entry.inner,
    ppid: inner.get(entry.outerParent) ?? 0,
    args: entry.args,
    outerPid: entry.outer,
  }));
}

export function pidNamespace(proc: string): string | null {
  try {
    return readlinkSync(`${proc}/ns/pid`);
  } catch {
    return null;
  }
}

export function isSshd({ args }: HostProcess): boolean {
  return /^(\S*\/)?sshd(-session|-auth)?(:| |$)/.test(args);
}
