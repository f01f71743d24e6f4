/** Another machine, or another container of one, as far as processes can tell: a pid namespace, a machine id, a host name. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface MachineOptions {
  readonly id: string;
  readonly name: string;
  /** Folders that it has of its own, though their paths are the same. */
  readonly own?: readonly string[];
}

const asUser = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
const NAMESPACES = ["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--uts"];

/** Null: this system lets us make machines; else why it does not. */
export function noMachines(): string | null {
  const { status, stderr } = spawnSync("unshare", [...asUser, ...NAMESPACES, "hostname", "lc-test"], {
    encoding: "utf8",
  });
  return status === 0 ? null : `no namespaces to be had here: ${stderr.trim()}`;
}

export class Machine {
  /** What a command line begins with that runs there. */
  readonly enter: readonly string[];

  static async start({ id, name, own = [] }: MachineOptions): Promise<Machine> {
    const folder = mkdtempSync(join(tmpdir(), "lc-machine-"));
    const idFile = join(folder, "machine-id");
    writeFileSync(idFile, `${id}\n`);
    const empty = own.map((_, index) => join(folder, String(index)));
    for (const path of empty) mkdirSync(path);
    // First what the others may hide.
    const bound = existsSync("/etc/machine-id") ? [idFile, "/etc/machine-id"] : [];
    for (const [index, path] of own.entries()) bound.push(empty[index]!, path);
    const script =
      'hostname "$1" && shift && while [ $# -gt 0 ]; do mount --bind "$1" "$2" || exit 1; shift 2; done && echo ready && exec cat';
    const init = spawn("unshare", [...asUser, ...NAMESPACES, "sh", "-c", script, "sh", name, ...bound], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const [said] = (await Promise.race([once(init.stdout, "data"), once(init, "close")])) as unknown[];
    if (String(said).trim() !== "ready") throw new Error(`the machine ${name} did not start`);
    return new Machine(init, folder);
  }

  private constructor(
    private readonly init: ChildProcess,
    private readonly folder: string,
  ) {
    const pid = String(init.pid);
    const first = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    const user = asUser.length === 0 ? [] : ["--user", "--preserve-credentials"];
    this.enter = ["nsenter", "--target", first, ...user, "--pid", "--mount", "--uts", "--"];
  }

  /** With all its processes, as if it was switched off. */
  async stop(): Promise<void> {
    if (this.init.exitCode === null && this.init.signalCode === null) {
      const over = once(this.init, "close");
      this.init.kill("SIGKILL");
      await over;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
