/**
 * An ordinary user for the tests of a machine that has only root, as that of the continuous integration: with a uid of its
 * own, an account, a home and a checkout that exist in a mount namespace only.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { inProject, projectRoot, venvPython } from "./paths.mjs";

/** Beyond those of accounts, and others for runs at the same time. */
const uid = 61_300 + (process.pid % 1000);

/** Folders of the programs that are needed, and may be in a home that is closed. */
const programs = () => [process.execPath, venvPython].map((file) => path.resolve(fs.realpathSync(file), "../.."));

/**
 * @param {import("./lifetime.mjs").Lifetime} lifetime
 * @returns {{ home: string, wrap: (program: string, args: readonly string[]) => { program: string, args: string[], env: NodeJS.ProcessEnv }, left: () => string[] }}
 *   `left` says what of the user is still there: its processes, and its files in the temporary directory
 */
export function ordinaryUser(lifetime) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "lazycluster-user-"));
  fs.chmodSync(folder, 0o755);
  lifetime.add(() => fs.rmSync(folder, { recursive: true, force: true }));
  const [stage, home] = ["stage", "home"].map((name) => path.join(folder, name));
  if (stage === undefined || home === undefined) throw new Error("no folder");
  for (const name of [stage, home]) fs.mkdirSync(name);
  const script = inProject("scripts", "lib", "as-user.sh");
  const set = ["unshare", "--mount", "--", "sh", script, stage, home, String(uid), projectRoot, ...programs(), "--"];
  // The long tests have been run by then.
  const { LAZYCLUSTER_LONG_TESTS: _long, ...rest } = process.env;
  const env = { ...rest, HOME: home, USER: "lctests", LOGNAME: "lctests", SHELL: "/bin/bash" };
  return {
    home,
    wrap: (program, args) => ({ program: set[0] ?? "", args: [...set.slice(1), program, ...args], env }),
    left: () => [...processesOf(uid), ...filesOf(uid)],
  };
}

/** Why there can be none, or undefined. */
export function whyNoOrdinaryUser() {
  if (process.getuid?.() !== 0) return "is an ordinary user already";
  const { status } = spawnSync("unshare", ["--mount", "--", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], {
    stdio: "ignore",
  });
  return status === 0 ? undefined : "needs the right to mount";
}

/** @param {number} owner */
function processesOf(owner) {
  return fs.readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      if (fs.statSync(`/proc/${name}`).uid !== owner) return [];
      const args = fs.readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
      // One that has ended, and whose parent has not looked yet, has none.
      return args === "" ? [] : [`process ${name}: ${args}`];
    } catch {
      return []; // it has ended
    }
  });
}

/** @param {number} owner */
function filesOf(owner) {
  const folder = os.tmpdir();
  return fs
    .readdirSync(folder)
    .map((name) => path.join(folder, name))
    .filter((file) => fs.lstatSync(file, { throwIfNoEntry: false })?.uid === owner);
}
