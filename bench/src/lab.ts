/** What rows need: real sshd hosts, peers in a venv of their own, a slow line, one OpenSSH master. */
import { type ChildProcess, execFile, spawn } from "child_process";
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "fs";
import { tmpdir } from "os";
import { join, resolve } from "path";
import { createInterface } from "readline";
import { promisify } from "util";
import { type DelayProxy, type TestHosts, startDelayProxy, startHosts } from "../../core/test/hosts";

const call = promisify(execFile);
export const ROOT = join(__dirname, "..", "..");
const VENV = join(ROOT, ".bench-venv");
/** The peers' interpreter, which hosts have too. */
export const PYTHON = join(VENV, "bin", "python");
/** [ms] that one operation of a peer may take. */
const PEER_MS = 60_000;
export const PEERS = join(ROOT, "bench", "peers");

export class Lab {
  private readonly ending: (() => Promise<void> | void)[] = [];
  private masters = new Map<string, string>();

  static async start(hostCount: number): Promise<Lab> {
    const path = `${join(VENV, "bin")}:/usr/local/bin:/usr/bin:/bin`;
    // Its standard library; where it is the system's, the hosts have it anyway.
    const interpreter = resolve(realpathSync(PYTHON), "..", "..");
    // Python lazycluster reads this variable of the image that it was made for, and fails without it.
    const hosts = await startHosts({
      count: hostCount,
      path,
      env: { WORKSPACE_VERSION: "none" },
      shared: [VENV, interpreter],
    });
    const folder = mkdtempSync(join(tmpdir(), "lc-bench-"));
    return new Lab(hosts, folder);
  }

  private constructor(
    readonly hosts: TestHosts,
    readonly folder: string,
  ) {
    mkdirSync(join(folder, ".ssh"), { mode: 0o700 });
    copyFileSync(this.config, this.plainConfig);
    this.ending.push(
      () => hosts.stop(),
      () => rmSync(folder, { recursive: true, force: true }),
    );
  }

  get config(): string {
    return this.hosts.configFile;
  }

  /** The hosts alone, without the slow aliases that rows add; where peers with `peerEnv` look by themselves. */
  get plainConfig(): string {
    return join(this.folder, ".ssh", "config");
  }

  get peerEnv(): NodeJS.ProcessEnv {
    const { config, folder } = this;
    return { ...process.env, HOME: folder, BENCH_SSH_CONFIG: config, BENCH_IDENTITY: this.hosts.identityFile };
  }

  /** A Python peer that does what it is told, one line at a time, and times itself. */
  async peer(script: string, ...args: string[]): Promise<(op: string) => Promise<number>> {
    const child = spawn(PYTHON, [join(PEERS, script), ...args], {
      env: this.peerEnv,
      stdio: ["pipe", "pipe", process.env["BENCH_DEBUG"] ? "inherit" : "ignore"],
      // A group of its own: peers start processes that do not end with them.
      detached: true,
    });
    this.endWith(child);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const ask = async (op: string): Promise<number> => {
      child.stdin.write(`${op}\n`);
      const bound = setTimeout(() => child.kill("SIGKILL"), PEER_MS);
      for (;;) {
        const { value, done } = await lines.next();
        if (done) throw new Error(`${script} ended`);
        // Peers print things of their own, too.
        if (!value.startsWith("ms ")) continue;
        clearTimeout(bound);
        return Number(value.slice(3));
      }
    };
    await ask("start");
    return ask;
  }

  /** The arguments of `ssh` for a host over a warm master connection with the cipher that we use. */
  async mux(alias: string): Promise<string[]> {
    const path = this.masters.get(alias) ?? join(this.folder, `mux-${String(this.masters.size)}`);
    const args = ["-F", this.config, "-S", path];
    if (!this.masters.has(alias)) {
      this.masters.set(alias, path);
      await call("ssh", [...args, "-M", "-N", "-f", "-c", "aes128-gcm@openssh.com", alias]);
      this.ending.unshift(async () => {
        await call("ssh", [...args, "-O", "exit", alias]).catch(() => undefined);
      });
    }
    return [...args, alias];
  }

  /** An alias of the first host behind a line with this round trip. */
  async slowAlias(rttMs: number): Promise<string> {
    const host = this.hosts.hosts[0];
    if (!host) throw new Error("no host");
    const proxy: DelayProxy = await startDelayProxy({ target: { address: host.address, port: host.port }, rttMs });
    this.ending.unshift(() => proxy.stop());
    const alias = `slow-${String(rttMs)}`;
    const keyAlias = host.port === 22 ? host.address : `[${host.address}]:${String(host.port)}`;
    const { stdout } = await call("ssh", ["-F", this.config, "-G", host.alias]);
    const get = (name: string): string => new RegExp(`^${name} (.*)$`, "m").exec(stdout)?.[1] ?? "";
    appendFileSync(
      this.config,
      `\nHost ${alias}\n  HostName ${proxy.address}\n  Port ${String(proxy.port)}\n  HostKeyAlias ${keyAlias}\n  User ${host.user}\n` +
        `  IdentityFile ${get("identityfile")}\n  IdentitiesOnly yes\n  UserKnownHostsFile ${get("userknownhostsfile")}\n  StrictHostKeyChecking yes\n`,
    );
    return alias;
  }

  private endWith(child: ChildProcess): void {
    this.ending.unshift(() => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // Gone already.
      }
    });
  }

  async stop(): Promise<void> {
    for (const end of this.ending) await end();
  }
}
