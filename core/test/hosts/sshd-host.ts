/** What both kinds of host have in common: an address, keys, a listener. */

import { once } from "node:events";
import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeKey } from "./keys";
import type { HostProcess } from "./processes";
import type { RunResult } from "./run";
import type { HostsOptions, TestHost } from "./types";

export interface HostPlan {
  readonly index: number;
  readonly alias: string;
  readonly address: string;
  readonly port: number;
  /** On this machine. */
  readonly dir: string;
  readonly options: HostsOptions;
}

const START_MS = 30_000;

export abstract class SshdHost implements TestHost {
  abstract readonly user: string;
  abstract readonly home: string;
  readonly alias: string;
  readonly address: string;
  readonly port: number;
  readonly dir: string;
  #sshdPid = 0;

  constructor(readonly plan: HostPlan) {
    ({ alias: this.alias, address: this.address, port: this.port, dir: this.dir } = plan);
  }

  get sshdPid(): number {
    return this.#sshdPid;
  }

  abstract start(): Promise<void>;
  abstract stop(): Promise<void>;
  /** At once and synchronously, for the exit of the test process. */
  abstract kill(): void;
  abstract exec(
    argv: readonly string[],
    options?: { readonly asRoot?: boolean; readonly input?: string },
  ): Promise<RunResult>;
  abstract processes(): Promise<HostProcess[]>;
  abstract sshdProcesses(): Promise<HostProcess[]>;
  abstract linkDown(): Promise<void>;
  abstract linkUp(): Promise<void>;
  abstract mountTmpfs(path: string, sizeKiB: number, options?: { readonly readonly?: boolean }): Promise<void>;
  protected abstract launchSshd(): Promise<void>;

  async startSshd(): Promise<void> {
    await this.launchSshd();
    await waitForPort(this.address, this.port);
    this.#sshdPid = (await this.#listener())?.outerPid ?? 0;
  }

  async stopSshd(): Promise<void> {
    const listener = await this.#listener();
    if (!listener) return;
    process.kill(listener.outerPid, "SIGTERM");
    const deadline = Date.now() + START_MS;
    while ((await this.#listener())?.outerPid === listener.outerPid) {
      if (Date.now() > deadline) throw new Error(`${this.alias}: sshd does not end`);
      await sleep(5);
    }
  }

  async rotateHostKey(): Promise<void> {
    const file = join(this.dir, "host_ed25519");
    const rsa = join(this.dir, "host_rsa");
    for (const path of [file, rsa]) for (const end of ["", ".pub"]) await rm(path + end, { force: true });
    await Promise.all([makeKey(file), makeKey(rsa, { type: "rsa" })]);
    await this.stopSshd();
    await this.startSshd();
  }

  async #listener(): Promise<HostProcess | undefined> {
    return (await this.sshdProcesses()).find(({ args }) => args.includes("[listener]") || args.includes("-f "));
  }
}

/**
 * By connecting: an sshd has no other way to say that it is there. Until it has said so, for what it writes about this
 * connection into its log would come at any time later, or never.
 */
async function waitForPort(host: string, port: number): Promise<void> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    const socket = connect({ host, port });
    try {
      await once(socket, "data", { signal: AbortSignal.timeout(START_MS) });
      return;
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`no sshd at ${host}:${port}: ${String(error)}`);
      await sleep(10);
    } finally {
      socket.on("error", () => undefined).destroy();
    }
  }
}
