/**
 * A host in namespaces of its own: network, processes, mounts, name. Needs root, or what an ordinary user is in a user
 * namespace (see scripts/lib/isolation.mjs). There the host's root is nobody else than this user, and so is its one
 * ordinary user, in a user namespace within: sshd asks for more than one uid where it runs as root.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, realpathSync } from "node:fs";
import { chmod, chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { sshdConfig } from "./keys";
import { isSshd, listProcesses, pidNamespace, type HostProcess } from "./processes";
import { must, run, type RunResult } from "./run";
import { SshdHost, type HostPlan } from "./sshd-host";

const ORDINARY = { name: "lctest", id: 61234 } as const;
const DIR_ON_HOST = "/run/host";
const IS_ROOT = process.getuid?.() === 0;
const SESSION_PATH = "/usr/local/bin:/usr/bin:/bin";

export class IsolatedHost extends SshdHost {
  readonly user: string;
  readonly home: string;
  readonly #cable: string;
  #init!: ChildProcess;
  #namespace = "";

  constructor(
    plan: HostPlan,
    readonly bridge: string,
  ) {
    super(plan);
    const ordinary = plan.options.user === "ordinary" || !IS_ROOT;
    this.user = ordinary ? ORDINARY.name : "root";
    this.home = ordinary ? `/home/${ORDINARY.name}` : "/root";
    this.#cable = `${bridge}-${plan.index}`;
  }

  override async start(): Promise<void> {
    await this.#writeFiles();
    await this.#startInit();
    await this.#plugIn();
    await this.startSshd();
  }

  override async stop(): Promise<void> {
    if (this.#init.exitCode !== null || this.#init.signalCode !== null) return;
    const gone = once(this.#init, "exit");
    this.#init.stdin?.end();
    const timer = setTimeout(() => this.#init.kill("SIGKILL"), 2_000);
    await gone;
    clearTimeout(timer);
    // A namespace lives on in the kernel as long as a connection of it waits for an answer. Its cable need not.
    await run("ip", ["link", "del", this.#cable]);
  }

  override kill(): void {
    this.#init.kill("SIGKILL");
  }

  override exec(argv: readonly string[], options: { asRoot?: boolean; input?: string } = {}): Promise<RunResult> {
    const ordinary = this.user !== "root" && options.asRoot !== true;
    const home = ordinary ? this.home : "/root";
    const env = ["env", "-i", `HOME=${home}`, `PATH=${SESSION_PATH}:/usr/sbin:/sbin`, "LANG=C.UTF-8"];
    return run("nsenter", [...this.#enter(), ...(ordinary ? asOrdinary() : ["--"]), ...env, ...argv], options.input);
  }

  override processes(): Promise<HostProcess[]> {
    return Promise.resolve(
      this.#all().filter((entry) => entry.pid !== 1 && entry.ppid !== 0 && !isSshd(entry) && !this.#isGuard(entry)),
    );
  }

  override sshdProcesses(): Promise<HostProcess[]> {
    return Promise.resolve(this.#all().filter(isSshd));
  }

  override async linkDown(): Promise<void> {
    await must("ip", ["link", "set", this.#cable, "down"]);
  }

  override async linkUp(): Promise<void> {
    await must("ip", ["link", "set", this.#cable, "up"]);
  }

  override async mountTmpfs(path: string, sizeKiB: number, options: { readonly?: boolean } = {}): Promise<void> {
    const settings = [`size=${sizeKiB}k`, "mode=1777", ...(options.readonly === true ? ["ro"] : [])].join(",");
    for (const argv of [
      ["mkdir", "-p", path],
      ["mount", "-t", "tmpfs", "-o", settings, "tmpfs", path],
    ]) {
      const { code, stderr } = await this.exec(argv, { asRoot: true });
      if (code !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
    }
  }

  /** It forks into the background, so that the host's own init adopts it and reaps what it leaves. */
  protected override async launchSshd(): Promise<void> {
    await must("nsenter", [
      ...this.#enter(),
      ...(IS_ROOT ? ["--"] : asOrdinary()),
      "/usr/sbin/sshd",
      ...["-f", `${DIR_ON_HOST}/sshd_config`, "-E", `${DIR_ON_HOST}/sshd.log`],
    ]);
  }

  #enter(): string[] {
    const user = IS_ROOT ? [] : ["--user", "--preserve-credentials"];
    return ["--target", String(this.#initPid()), ...user, "--mount", "--net", "--uts", "--pid", "--ipc", "--wd=/"];
  }

  #all(): HostProcess[] {
    return listProcesses((proc) => pidNamespace(proc) === this.#namespace);
  }

  /** The `cat` that waits for the end of the test process. */
  #isGuard({ ppid, args }: HostProcess): boolean {
    return ppid === 1 && args === "cat";
  }

  #initPid(): number {
    const inner = this.#all().find(({ pid }) => pid === 1);
    if (!inner) throw new Error(`${this.alias} is not running`);
    return inner.outerPid;
  }

  async #writeFiles(): Promise<void> {
    const { dir, plan } = this;
    const { options } = plan;
    for (const name of ["home", "tmp"]) await mkdir(join(dir, name), { recursive: true });
    await chmod(join(dir, "tmp"), 0o1777);
    if (this.user !== "root") {
      await mkdir(join(dir, "root-home"), { recursive: true });
      if (IS_ROOT) await chown(join(dir, "home"), ORDINARY.id, ORDINARY.id);
      // There root's files are the ordinary user's too.
      else await chmod(join(dir, "root-home"), 0o500);
    }
    const shell = typeof options.shell === "object" ? `${DIR_ON_HOST}/shell` : (options.shell ?? "/bin/bash");
    if (typeof options.shell === "object") await writeFile(join(dir, "shell"), options.shell.script, { mode: 0o755 });
    await this.#writeAccounts(shell);
    const config = sshdConfig({
      dir: DIR_ON_HOST,
      address: plan.address,
      port: plan.port,
      extra: options.sshdConfig ?? [],
      env: { PATH: options.path ?? SESSION_PATH, ...options.env },
    });
    await writeFile(join(dir, "sshd_config"), config);
  }

  /** Copies with our user and shell; the machine's own files stay as they are. */
  async #writeAccounts(shell: string): Promise<void> {
    const { password } = this.plan.options;
    const hash = password === undefined ? "*" : (await must("openssl", ["passwd", "-6", "-stdin"], password)).trim();
    const [passwd, group] = await Promise.all(["passwd", "group"].map((name) => readFile(`/etc/${name}`, "utf8")));
    // Only root reads the machine's.
    const shadow = IS_ROOT ? await readFile("/etc/shadow", "utf8") : "root:*:19000::::::\n";
    const isRoot = this.user === "root";
    const withShell = passwd!.replace(/^(root:.*:)[^:]*$/m, isRoot ? `$1${shell}` : "$1/bin/sh");
    const ours = `${ORDINARY.name}:x:${ORDINARY.id}:${ORDINARY.id}::/home/${ORDINARY.name}:${isRoot ? "/bin/sh" : shell}\n`;
    const withHash = shadow.replace(/^root:[^:]*:/m, `root:${isRoot ? hash : "*"}:`);
    await Promise.all([
      writeFile(join(this.dir, "passwd"), withShell + ours, { mode: 0o644 }),
      writeFile(join(this.dir, "group"), `${group!}${ORDINARY.name}:x:${ORDINARY.id}:\n`, { mode: 0o644 }),
      writeFile(join(this.dir, "shadow"), `${withHash}${ORDINARY.name}:${isRoot ? "*" : hash}:19000::::::\n`, {
        mode: 0o600,
      }),
    ]);
  }

  async #startInit(): Promise<void> {
    const venv = join(__dirname, "..", "..", "..", ".venv");
    const { pythons: wanted, shared = [] } = this.plan.options;
    const versions = join(userInfo().homedir, ".pyenv", "versions");
    const pythons = wanted === true && existsSync(versions) ? versions : "";
    const folders = [...(wanted === true && existsSync(venv) ? [realpathSync(venv)] : []), ...shared];
    const script = join(__dirname, "host-init.sh");
    const namespaces = [
      ...(IS_ROOT ? [] : ["--user", "--map-root-user"]),
      "--net",
      "--mount",
      "--uts",
      "--ipc",
      "--pid",
      "--fork",
      "--mount-proc",
      "--kill-child=SIGKILL",
    ];
    this.#init = spawn(
      "unshare",
      [...namespaces, "sh", script, this.dir, this.alias, this.user, pythons, IS_ROOT ? "" : "user", ...folders],
      {
        stdio: ["pipe", "pipe", "pipe"],
        detached: true,
      },
    );
    let said = "";
    this.#init.stderr!.setEncoding("utf8").on("data", (text: string) => (said += text));
    this.#init.stdin!.on("error", () => undefined);
    for await (const line of createInterface({ input: this.#init.stdout! })) {
      if (line !== "up") continue;
      const { pid } = this.#init;
      // unshare itself stays outside of the new pid namespace; its child is inside.
      const children = await readFile(`/proc/${pid}/task/${pid}/children`, "latin1");
      this.#namespace = pidNamespace(`/proc/${children.trim().split(" ")[0]}`) ?? "";
      return;
    }
    throw new Error(`${this.alias} did not start: ${said}`);
  }

  async #plugIn(): Promise<void> {
    const { address } = this.plan;
    const inside = ["nsenter", "--target", String(this.#init.pid), "--net", "--", "ip"] as const;
    await must("ip", [
      "link",
      "add",
      this.#cable,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      String(this.#init.pid),
    ]);
    await must("ip", ["link", "set", this.#cable, "master", this.bridge, "up"]);
    const [nsenter, ...args] = inside;
    await must(nsenter, [...args, "link", "set", "lo", "up"]);
    await must(nsenter, [...args, "addr", "add", `${address}/24`, "dev", "eth0"]);
    await must(nsenter, [...args, "link", "set", "eth0", "up"]);
  }
}

/** Arguments for nsenter, after which those of a program follow. */
function asOrdinary(): string[] {
  const id = String(ORDINARY.id);
  return IS_ROOT
    ? ["--setgid", id, "--setuid", id, "--"]
    : ["--", "unshare", "--user", `--map-user=${id}`, `--map-group=${id}`, "--"];
}
