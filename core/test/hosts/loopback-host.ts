/** An sshd of this user on a port of 127.0.0.1, where namespaces are not to be had. It shares files and processes. */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { sshdConfig } from "./keys";
import { isSshd, listProcesses, type HostProcess } from "./processes";
import { run, type RunResult } from "./run";
import { SshdHost, type HostPlan } from "./sshd-host";

export class LoopbackHost extends SshdHost {
  readonly user = userInfo().username;
  readonly home = homedir();
  readonly #mark: string;
  #sshd: ChildProcess | null = null;

  constructor(plan: HostPlan) {
    super(plan);
    this.#mark = `LAZYCLUSTER_TEST_HOST=${plan.dir}`;
  }

  override async start(): Promise<void> {
    const { dir, plan } = this;
    await mkdir(join(dir, "tmp"), { recursive: true });
    const [name = "", value = ""] = this.#mark.split("=");
    const env = { PATH: plan.options.path ?? "/usr/local/bin:/usr/bin:/bin", ...plan.options.env, [name]: value };
    const extra = plan.options.sshdConfig ?? [];
    await writeFile(join(dir, "sshd_config"), sshdConfig({ dir, address: plan.address, port: plan.port, extra, env }));
    await this.startSshd();
  }

  override async stop(): Promise<void> {
    await this.stopSshd();
    this.kill();
  }

  override kill(): void {
    this.#sshd?.kill("SIGKILL");
    for (const { outerPid } of this.#marked()) process.kill(outerPid, "SIGKILL");
  }

  override exec(argv: readonly string[], options: { input?: string } = {}): Promise<RunResult> {
    const [command = "", ...args] = argv;
    return run(command, args, options.input);
  }

  override processes(): Promise<HostProcess[]> {
    return Promise.resolve(this.#marked().filter((entry) => !isSshd(entry)));
  }

  override sshdProcesses(): Promise<HostProcess[]> {
    const listener = this.#sshd?.pid;
    return Promise.resolve(listProcesses((proc) => proc === `/proc/${listener}`));
  }

  override linkDown(): Promise<void> {
    return Promise.reject(new Error("a host on the loopback has no cable; see canIsolate"));
  }

  override linkUp(): Promise<void> {
    return this.linkDown();
  }

  override mountTmpfs(): Promise<void> {
    return Promise.reject(new Error("mounts need root; see canIsolate"));
  }

  override async stopSshd(): Promise<void> {
    const sshd = this.#sshd;
    this.#sshd = null;
    if (!sshd || sshd.exitCode !== null || sshd.signalCode !== null) return;
    const gone = once(sshd, "exit");
    sshd.kill("SIGTERM");
    await gone;
  }

  protected override launchSshd(): Promise<void> {
    const args = ["-D", "-f", join(this.dir, "sshd_config"), "-E", join(this.dir, "sshd.log")];
    this.#sshd = spawn("/usr/sbin/sshd", args, { stdio: "ignore", detached: true });
    return Promise.resolve();
  }

  /** What runs in its sessions has the mark in its environment, also when its parent is gone. */
  #marked(): HostProcess[] {
    return listProcesses((proc) => readFileSync(`${proc}/environ`, "utf8").split("\0").includes(this.#mark));
  }
}
