import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "fs";
import { userInfo } from "os";
import { type HostEntry, knownHosts, loginScript, sshConfig } from "./config";
import { DemoError } from "./error";
import {
  type DemoLayout,
  type HostLayout,
  demoDirectory,
  demoLayout,
  hostLayout,
  hostName,
  isHostName,
} from "./layout";
import { endTree } from "./processes";
import { configuredPort, ensureKey, requireProgram, runningSshd, startSshd } from "./sshd";

export interface DemoHost {
  /** The alias in the ssh config. */
  readonly name: string;
  /** On 127.0.0.1; null when the host never ran. */
  readonly port: number | null;
  /** Of its sshd; null when it does not run. */
  readonly pid: number | null;
  /** Its home directory. */
  readonly home: string;
}

export interface DemoState {
  readonly directory: string;
  /** For `ssh -F`, or LAZYCLUSTER_SSH_CONFIG. */
  readonly sshConfig: string;
  readonly hosts: readonly DemoHost[];
}

export interface DemoUp extends DemoState {
  /** Names of the hosts that this call started; the others ran already. */
  readonly started: readonly string[];
}

export interface DemoDown extends DemoState {
  /** Names of the hosts that this call ended. */
  readonly ended: readonly string[];
}

const mostHosts = 64;

/** Starts demo hosts, each a real sshd on loopback with keys and a home directory of its own. Those that run are left alone. */
export async function demoUp(options: { count?: number; directory?: string } = {}): Promise<DemoUp> {
  const { count = 2, directory = demoDirectory() } = options;
  if (!Number.isInteger(count) || count < 1 || count > mostHosts) {
    throw new DemoError(`The number of demo hosts must be between 1 and ${mostHosts}, not ${count}.`);
  }
  requireLinux();
  requireProgram("sshd", "openssh-server");
  const { username: user, uid } = userInfo();
  const demo = demoLayout(directory);
  mkdirSync(demo.directory, { recursive: true, mode: 0o700 });
  const publicKey = await ensureKey(demo.userKey, "lazycluster demo user");
  const settings = { user, isRoot: uid === 0, isLocked: isLocked(user) };

  const started: string[] = [];
  for (let index = 0; index < count; index++) {
    const host = hostLayout(demo, hostName(index));
    if (runningSshd(host) !== null) continue;
    mkdirSync(host.home, { recursive: true, mode: 0o700 });
    await ensureKey(host.hostKey, host.name);
    writeFileSync(host.authorizedKeys, `${publicKey}\n`, { mode: 0o600 });
    writeFileSync(host.loginScript, loginScript, { mode: 0o600 });
    await startSshd(host, settings);
    started.push(host.name);
    // After each, so that those that run can be used and ended even if the next one does not start.
    await writeClientFiles(demo, user);
  }
  if (started.length === 0) await writeClientFiles(demo, user);
  return { ...stateOf(demo), started };
}

/** What there is, and what of it runs. */
export function demoStatus(options: { directory?: string } = {}): DemoState {
  return stateOf(demoLayout(options.directory ?? demoDirectory()));
}

/** Ends demo hosts with all their sessions. Their files stay, so that the next `demoUp` brings the same hosts back. */
export async function demoDown(options: { directory?: string; hosts?: readonly string[] } = {}): Promise<DemoDown> {
  const demo = demoLayout(options.directory ?? demoDirectory());
  const ended: string[] = [];
  const left: string[] = [];
  for (const host of existingHosts(demo)) {
    const sshd = runningSshd(host);
    if (sshd === null || options.hosts?.includes(host.name) === false) continue;
    const remaining = await endTree(sshd);
    if (remaining.length === 0) rmSync(host.identity, { force: true });
    (remaining.length === 0 ? ended : left).push(host.name);
  }
  if (left.length > 0) throw new DemoError(`Processes of ${left.join(", ")} could not be ended.`);
  return { ...stateOf(demo), ended };
}

function requireLinux(): void {
  if (!existsSync("/proc/self/stat")) {
    throw new DemoError(
      "Demo hosts need Linux, because they find their processes in /proc. On other systems use hosts of your own.",
    );
  }
}

/** Only root can read this, and only root's sshd asks for it. */
function isLocked(user: string): boolean {
  try {
    const entry = readFileSync("/etc/shadow", "utf8")
      .split("\n")
      .find((line) => line.startsWith(`${user}:`));
    return entry?.split(":")[1]?.startsWith("!") ?? false;
  } catch {
    return false;
  }
}

function existingHosts(demo: DemoLayout): HostLayout[] {
  if (!existsSync(demo.directory)) return [];
  return readdirSync(demo.directory)
    .filter(isHostName)
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }))
    .map((name) => hostLayout(demo, name));
}

function stateOf(demo: DemoLayout): DemoState {
  const hosts = existingHosts(demo).map((host) => ({
    name: host.name,
    port: configuredPort(host),
    pid: runningSshd(host)?.pid ?? null,
    home: host.home,
  }));
  return { directory: demo.directory, sshConfig: demo.sshConfig, hosts };
}

/** The ssh config and known hosts name the hosts that run: what is in an ssh config should be usable. */
async function writeClientFiles(demo: DemoLayout, user: string): Promise<void> {
  const entries: HostEntry[] = [];
  for (const host of existingHosts(demo)) {
    const port = configuredPort(host);
    if (port === null || runningSshd(host) === null) continue;
    entries.push({ name: host.name, port, publicKey: await ensureKey(host.hostKey, host.name) });
  }
  writeWhole(demo.knownHosts, knownHosts(entries));
  writeWhole(demo.sshConfig, sshConfig(demo, user, entries));
}

/** By a rename, for an ssh client may be reading it. */
function writeWhole(file: string, text: string): void {
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, file);
}
