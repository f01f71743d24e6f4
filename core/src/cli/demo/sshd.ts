import { type ChildProcess, execFile, spawn } from "child_process";
import { randomInt } from "crypto";
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "fs";
import { delimiter, isAbsolute, join } from "path";
import { setTimeout as sleep } from "timers/promises";
import { promisify } from "util";
import { type SshdSettings, sshdConfig } from "./config";
import { DemoError } from "./error";
import type { HostLayout } from "./layout";
import { type ProcessIdentity, recordProcess, recordedProcess } from "./processes";

const run = promisify(execFile);

/** Below the ports that the kernel gives to outgoing connections, so that few of them are taken. */
const firstPort = 20_000;
const lastPort = 32_000;
const portAttempts = 20;
const startTimeoutMs = 10_000;

/** sshd is where ordinary users often do not look. */
const systemDirectories = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

export function findProgram(name: string): string | null {
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((directory) => isAbsolute(directory));
  for (const directory of [...path, ...systemDirectories]) {
    const file = join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not here.
    }
  }
  return null;
}

export function requireProgram(name: string, debianPackage: string): string {
  const file = findProgram(name);
  if (file !== null) return file;
  throw new DemoError(
    `Demo hosts need \`${name}\`, which is not installed. On Debian and Ubuntu: ` +
      `sudo apt-get install --no-install-recommends ${debianPackage}`,
  );
}

/** Makes a key pair without passphrase, unless there is one. Gives the public key without its comment. */
export async function ensureKey(file: string, comment: string): Promise<string> {
  if (!existsSync(file) || !existsSync(`${file}.pub`)) {
    rmSync(file, { force: true });
    const program = requireProgram("ssh-keygen", "openssh-client");
    await run(program, ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file], { timeout: 20_000 });
  }
  return readFileSync(`${file}.pub`, "utf8").split(" ").slice(0, 2).join(" ").trim();
}

/** The running sshd of a host, or null. */
export const runningSshd = (host: HostLayout): ProcessIdentity | null => recordedProcess(host.identity);

function readPid(host: HostLayout): number | null {
  try {
    const pid = Number(readFileSync(host.pidFile, "utf8").trim());
    return Number.isSafeInteger(pid) && pid > 1 ? pid : null;
  } catch {
    return null;
  }
}

/** The port that a host's sshd was last configured with; null before its first start. */
export function configuredPort(host: HostLayout): number | null {
  try {
    const port = /^Port (\d+)$/m.exec(readFileSync(host.sshdConfig, "utf8"))?.[1];
    return port === undefined ? null : Number(port);
  } catch {
    return null;
  }
}

/**
 * Starts a host's sshd and waits until it listens. The port is decided by sshd's own bind: it is started on one
 * after the other until it could take one. Gives the port.
 */
export async function startSshd(host: HostLayout, settings: Omit<SshdSettings, "port">): Promise<number> {
  const sshd = requireProgram("sshd", "openssh-server");
  const launch = await namedHostLauncher(host.name);
  let port = configuredPort(host) ?? randomInt(firstPort, lastPort);
  for (let attempt = 0; attempt < portAttempts; attempt++) {
    writeFileSync(host.sshdConfig, sshdConfig(host, { ...settings, port }), { mode: 0o600 });
    rmSync(host.pidFile, { force: true });
    rmSync(host.log, { force: true });
    const [program, ...args] = [...launch, sshd, "-D", "-f", host.sshdConfig, "-E", host.log];
    const child = spawn(program, args, { detached: true, stdio: "ignore", cwd: "/" });
    if (await untilListening(child, host)) {
      child.unref();
      return port;
    }
    const log = existsSync(host.log) ? readFileSync(host.log, "utf8") : "";
    if (log.includes("Address already in use")) {
      port = randomInt(firstPort, lastPort);
    } else if (!makePrivilegeSeparationDirectory(log)) {
      throw new DemoError(`sshd of ${host.name} did not start. ${log.trim() || `It printed nothing to ${host.log}.`}`);
    }
  }
  throw new DemoError(
    `sshd of ${host.name} found no free port between ${firstPort} and ${lastPort} in ${portAttempts} attempts.`,
  );
}

/** sshd writes its pid file once it listens; before that it ends if something is wrong. */
async function untilListening(child: ChildProcess, host: HostLayout): Promise<boolean> {
  // An error means that it was not even started, and so has no pid.
  child.once("error", () => undefined);
  const deadline = Date.now() + startTimeoutMs;
  while (child.pid !== undefined && child.exitCode === null && Date.now() < deadline) {
    if (readPid(host) === child.pid) {
      recordProcess(host.identity, child.pid);
      return true;
    }
    await sleep(10);
  }
  child.kill("SIGKILL");
  return false;
}

/** Where openssh-server is installed but was never started as a service, nobody has made this directory yet. */
function makePrivilegeSeparationDirectory(log: string): boolean {
  const directory = /Missing privilege separation directory: (\/\S+)/.exec(log)?.[1];
  if (directory === undefined || existsSync(directory)) return false;
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  return true;
}

/**
 * What to start sshd with, so that the host has a host name of its own. Only root may, and not in every container;
 * elsewhere the host has the machine's name.
 */
async function namedHostLauncher(name: string): Promise<[string, ...string[]] | []> {
  const unshare = findProgram("unshare");
  const hostname = findProgram("hostname");
  if (process.getuid?.() !== 0 || unshare === null || hostname === null) return [];
  const launcher: [string, ...string[]] = [unshare, "--uts", "--", "/bin/sh", "-c", 'hostname "$0" && exec "$@"', name];
  try {
    await run(launcher[0], [...launcher.slice(1), "true"], { timeout: 5000 });
    return launcher;
  } catch {
    return [];
  }
}
