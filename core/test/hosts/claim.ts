/**
 * What a test process has in the machine's network, written down so that the next run can remove what a killed one
 * left. A claim also makes the address range unique: suites run in parallel.
 */

import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";

const STATE_DIR = join(tmpdir(), `lazycluster-test-hosts-${process.getuid?.() ?? 0}`);
const RANGES = 200;

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
  mkdirSync(STATE_DIR, { recursive: true, mode: 0o700 });
  sweep();
  const first = Math.floor(Math.random() * RANGES);
  for (let offset = 0; offset < RANGES; offset++) {
    const range = (first + offset) % RANGES;
    const claim: Claim = { range, bridge: `lct${range}`, dir, pid: process.pid, startedAt: startOf(process.pid) ?? "" };
    try {
      const file = openSync(fileOf(range), "wx", 0o600);
      writeFileSync(file, JSON.stringify(claim));
      closeSync(file);
      return claim;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
  throw new Error(`all ${RANGES} address ranges of the test hosts are taken; see ${STATE_DIR}`);
}

/** Removes what the claim names; what is gone already is fine. Synchronous, so that it works at process exit. */
export function release(claim: Claim): void {
  if (process.getuid?.() === 0) {
    for (const name of readdirSync("/sys/class/net")) {
      if (name === claim.bridge || name.startsWith(`${claim.bridge}-`))
        spawnSync("ip", ["link", "del", name], { stdio: "ignore" });
    }
  }
  rmSync(claim.dir, { recursive: true, force: true });
  rmSync(fileOf(claim.range), { force: true });
}

/** Only what belongs to processes that are dead. Their hosts ended by themselves, at the end of their input. */
function sweep(): void {
  for (const name of readdirSync(STATE_DIR)) {
    let claim: Claim;
    try {
      claim = JSON.parse(readFileSync(join(STATE_DIR, name), "utf8")) as Claim;
    } catch {
      continue; // being written, or gone
    }
    if (startOf(claim.pid) !== claim.startedAt) release(claim);
  }
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
