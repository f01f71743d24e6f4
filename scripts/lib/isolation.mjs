/**
 * Namespaces for the test hosts of an ordinary user: a user namespace in which the tests have a network of their own and
 * the rights to make more, but are the user that they were, with no more right to any file.
 */
import { spawnSync } from "node:child_process";
import { findExecutable } from "./processes.mjs";

/** What laying cables, entering the hosts' namespaces and looking at their processes needs. */
const rights = ["net_admin", "sys_admin", "sys_chroot", "sys_ptrace"].map((right) => `+${right}`).join(",");

const wrapper = [
  ...["unshare", "--user", "--map-current-user", "--keep-caps", "--net", "--"],
  ...["setpriv", `--inh-caps=-all,${rights}`, `--ambient-caps=-all,${rights}`, "--"],
  ...["sh", "-c", 'ip link set lo up && exec "$@"', "sh"],
];

const isRoot = process.getuid?.() === 0;

/** Why test hosts of this user cannot have namespaces, or undefined. */
export function whyNotIsolated() {
  if (isRoot) return undefined;
  const missing = ["unshare", "setpriv", "ip"].filter(
    (name) => findExecutable(name, ["/usr/sbin", "/sbin"]) === undefined,
  );
  if (missing.length > 0) return `no ${missing.join(", ")}`;
  const [program = "", ...args] = wrapper;
  const { status, stderr } = spawnSync(program, [...args, "unshare", "--net", "true"], {
    env: environment(),
    encoding: "utf8",
    timeout: 10_000,
  });
  return status === 0 ? undefined : `no user namespaces (${stderr.trim().split("\n").at(-1) ?? ""})`;
}

/** `ip` is in a directory that ordinary users often do not have on their PATH. */
const environment = () => ({ ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` });

/**
 * @param {{ program: string, args: readonly string[] }} command
 * @returns {{ program: string, args: string[], env: NodeJS.ProcessEnv }} the same command, in a user namespace if it takes one
 */
export function isolated({ program, args }) {
  if (isRoot || whyNotIsolated() !== undefined) return { program, args: [...args], env: environment() };
  const [first = "", ...rest] = wrapper;
  return { program: first, args: [...rest, program, ...args], env: environment() };
}
