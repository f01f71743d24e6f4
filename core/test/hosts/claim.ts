/**
 * What a test process has in the machine's network, written down so that the next run can remove what a killed one
 * left. A claim also makes the address range unique: suites run in parallel.
 */

import { spawnSync } from "node:child_process";
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join, sep } from "node:path";
import { tmpdir } from "node:os";

const UID = process.getuid?.() ?? 0;
/** Of all runs on this machine, whose address ranges must differ. */
const TEMPORARY = process.env["LAZYCLUSTER_TEST_CLAIMS"] ?? tmpdir();
const STATE_DIR = join(TEMPORARY, `lazycluster-test-hosts-${UID}`);
const RANGES = 200;
/** Of the names of hosts' directories. */
export const HOSTS_PREFIX = "lazycluster-hosts-";

export interface Claim {
  /** Of `10.88.<range>.0/24`. */
  readonly range: number;
  readonly bridge: string;
  /** Removed with the claim. */
  readonly dir: string;
  /** The claiming process, and when it started: pids come back. */
  readonly pid: number;
  readonly startedAt: string;
}

export function claimRange(dir: string): Claim {
  sweep();
  const first = Math.floor(Math.random() * RANGES);
  for (let offset = 0; offset < RANGES; offset++) {
    const range = (first + offset) % RANGES;
    const claim: Claim = {
      range,
      bridge: bridgeOf(range),
      dir,
      pid: process.pid,
      startedAt: startOf(process.pid) ?? "",
    };
    try {
      makeStateDir();
      const file = openSync(fileOf(range), "wx", 0o600);
      writeFileSync(file, JSON.stringify(claim));
      closeSync(file);
      return claim;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // The last one of another run takes the directory with it.
      if (code !== "EEXIST" && code !== "ENOENT") throw error;
    }
  }
  throw new Error(`all ${RANGES} address ranges of the test hosts are taken; see ${STATE_DIR}`);
}

/** Removes what the claim names; what is gone already is fine. Synchronous, so that it works at process exit. */
export function release(claim: Claim): void {
  for (const name of networkLinks()) {
    if (name === claim.bridge || name.startsWith(`${claim.bridge}-`))
      spawnSync("ip", ["link", "del", name], { stdio: "ignore" });
  }
  removeTree(claim.dir);
  rmSync(fileOf(claim.range), { force: true });
  try {
    rmdirSync(STATE_DIR);
  } catch {
    // There are others.
  }
}

/** Also what an ordinary user made unwritable for itself. Synchronous. */
export function removeTree(dir: string): void {
  if (UID !== 0) spawnSync("chmod", ["-R", "u+rwX", dir], { stdio: "ignore" });
  rmSync(dir, { recursive: true, force: true });
}

/** Only what belongs to processes that are dead. Their hosts ended by themselves, at the end of their input. */
function sweep(): void {
  makeStateDir();
  for (const name of namesIn(STATE_DIR)) {
    const claim = readClaim(name);
    if (claim && startOf(claim.pid) !== claim.startedAt) release(claim);
  }
}

/** What the file says only counts where it names what a run of ours can have made. */
function readClaim(name: string): Claim | null {
  try {
    const claim = JSON.parse(readFileSync(join(STATE_DIR, name), "utf8")) as Claim;
    const { range, bridge, dir } = claim;
    const ours = name === basename(fileOf(range)) && bridge === bridgeOf(range) && mayRemove(dir);
    return ours ? claim : null;
  } catch {
    return null; // being written, or gone
  }
}

/** A directory of hosts, ours, below the temporary directory; or nothing any more. */
function mayRemove(dir: string): boolean {
  if (!basename(dir).startsWith(HOSTS_PREFIX)) return false;
  const found = lstatSync(dir, { throwIfNoEntry: false });
  if (!found) return true;
  return found.isDirectory() && found.uid === UID && realpathSync(dir).startsWith(realpathSync(TEMPORARY) + sep);
}

/** Everybody may make it, where everybody can write; then its files would say what we remove. */
function makeStateDir(): void {
  mkdirSync(STATE_DIR, { recursive: true, mode: 0o700 });
  const found = lstatSync(STATE_DIR, { throwIfNoEntry: false });
  if (!found || (found.isDirectory() && found.uid === UID && (found.mode & 0o077) === 0)) return;
  throw new Error(`${STATE_DIR} is not a private directory of this user; remove it, or set TMPDIR`);
}

/** Of this process's network; /sys shows the one in which it was mounted. */
export function networkLinks(): string[] {
  return [...readFileSync("/proc/self/net/dev", "utf8").matchAll(/^ *([^ :]+):/gm)].map(([, name]) => name!);
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function bridgeOf(range: number): string {
  return `lct${range}`;
}

function fileOf(range: number): string {
  return join(STATE_DIR, `${range}.json`);
}

function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}
