/** Real OpenSSH servers for the tests. Nothing of them is left when the test process ends, however it ends. */

import { copyFile, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HOSTS_PREFIX, claimRange, release } from "./claim";
import { IsolatedHost } from "./isolated-host";
import { aliasConfig, knownHostsLines, makeKey, publicKey } from "./keys";
import { LoopbackHost } from "./loopback-host";
import { must } from "./run";
import type { SshdHost } from "./sshd-host";
import type { HostsOptions, TestHosts } from "./types";

/** Where hosts with `pythons: true` have this machine's pyenv interpreters: `/run/pythons/3.8.18/bin/python3`. */
export const PYTHONS = "/run/pythons";

let isolation: boolean | undefined;

/** Whether hosts get namespaces of their own, by the right to it and the programs for it. Without, cables and mounts are missing. */
export function canIsolate(): boolean {
  isolation ??=
    spawnSync("unshare", ["--net", "--mount", "--pid", "--fork", "true"]).status === 0 &&
    spawnSync("ip", ["-V"]).status === 0;
  return isolation;
}

/** Further lines of every sshd_config, one a line: whole files of tests run again on hosts that have them. */
const EVERYWHERE = (process.env["LAZYCLUSTER_TEST_SSHD"] ?? "").split("\n").filter((line) => line !== "");

export async function startHosts(given: HostsOptions = {}): Promise<TestHosts> {
  const options = { ...given, sshdConfig: [...EVERYWHERE, ...(given.sshdConfig ?? [])] };
  const { count = 1 } = options;
  if (process.getuid?.() !== 0 && options.user === "root") throw new Error("hosts of root need root");
  const dir = await mkdtemp(join(tmpdir(), HOSTS_PREFIX));
  const claim = claimRange(dir);
  const hosts: SshdHost[] = [];
  const atExit = (): void => {
    for (const host of hosts) host.kill();
    release(claim);
  };
  process.on("exit", atExit);
  const stop = async (): Promise<void> => {
    await Promise.all(hosts.map((host) => host.stop()));
    process.off("exit", atExit);
    release(claim);
  };

  try {
    if (canIsolate()) await layBridge(claim.bridge, claim.range);
    const keys = await makeKeys(dir);
    for (let index = 1; index <= count; index++) {
      const alias = `host-${index}`;
      const plan = {
        index,
        alias,
        options,
        dir: join(dir, alias),
        ...(canIsolate()
          ? { address: `10.88.${claim.range}.${10 + index}`, port: 22 }
          : { address: "127.0.0.1", port: await freePort() }),
      };
      hosts.push(canIsolate() ? new IsolatedHost(plan, claim.bridge) : new LoopbackHost(plan));
    }
    await inBatches(hosts, 8, async (host) => {
      await equip(host, keys, options);
      await host.start();
    });
    return { ...(await writeSshConfig(dir, hosts, keys.identityFile)), dir, hosts, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Keys {
  readonly identityFile: string;
  /** The same for all hosts of a run: making one is slow. */
  readonly rsa: string;
}

async function makeKeys(dir: string): Promise<Keys> {
  const [identityFile, rsa] = await Promise.all([
    makeKey(join(dir, "id_ed25519"), { comment: "user@tests" }),
    makeKey(join(dir, "host_rsa"), { type: "rsa" }),
  ]);
  return { identityFile, rsa };
}

async function equip(host: SshdHost, keys: Keys, options: HostsOptions): Promise<void> {
  await mkdir(host.dir, { mode: 0o755 });
  await makeKey(join(host.dir, "host_ed25519"), { comment: host.alias });
  for (const end of ["", ".pub"]) await copyFile(`${keys.rsa}${end}`, join(host.dir, `host_rsa${end}`));
  const accepted = [await publicKey(keys.identityFile), ...(options.authorizedKeys ?? [])];
  await writeFile(join(host.dir, "authorized_keys"), accepted.map((line) => `${line}\n`).join(""), { mode: 0o644 });
}

async function writeSshConfig(
  dir: string,
  hosts: readonly SshdHost[],
  identityFile: string,
): Promise<Pick<TestHosts, "configFile" | "knownHostsFile" | "identityFile">> {
  const knownHostsFile = join(dir, "known_hosts");
  const configFile = join(dir, "ssh_config");
  let known = "";
  let config = "";
  for (const { alias, address, port, user, dir: hostDir } of hosts) {
    const keys = await Promise.all(["host_ed25519", "host_rsa"].map((name) => publicKey(join(hostDir, name))));
    known += knownHostsLines(address, port, keys);
    config += aliasConfig(alias, {
      HostName: address,
      Port: String(port),
      User: user,
      IdentityFile: identityFile,
      IdentitiesOnly: "yes",
      UserKnownHostsFile: knownHostsFile,
      GlobalKnownHostsFile: "none",
      StrictHostKeyChecking: "yes",
    });
  }
  await writeFile(knownHostsFile, known, { mode: 0o600 });
  await writeFile(configFile, config, { mode: 0o600 });
  return { configFile, knownHostsFile, identityFile };
}

async function layBridge(bridge: string, range: number): Promise<void> {
  await must("ip", ["link", "add", bridge, "type", "bridge"]);
  await must("ip", ["addr", "add", `10.88.${range}.1/24`, "dev", bridge]);
  await must("ip", ["link", "set", bridge, "up"]);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function inBatches<T>(items: readonly T[], size: number, work: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += size)
    await Promise.all(items.slice(start, start + size).map(work));
}
