/** What Debian and its kin install for us, where we may; else the one command that does it. */
import fs from "node:fs";
import { CommandError, findExecutable, run } from "./processes.mjs";
import { say, step, warn } from "./progress.mjs";

/** @typedef {import("./lifetime.mjs").Lifetime} Lifetime */

/**
 * @typedef {object} Lack
 * @property {readonly string[]} missing what was not found, in words
 * @property {readonly string[]} packages Debian's names of what would mend it
 */

const policyFile = "/usr/sbin/policy-rc.d";

/**
 * Installs the packages as root, after saying so. What cannot be installed may not be needed: the reason is printed, and
 * that is all.
 * @param {Lack} lack
 * @param {Lifetime} lifetime
 * @returns {Promise<boolean>} whether it tried
 */
export async function tryToInstall({ missing, packages }, lifetime) {
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || findExecutable("apt-get") === undefined) return false;
  say(`  Not found: ${missing.join(", ")}. Installing by apt: ${packages.join(", ")}`);
  try {
    await install(packages, lifetime);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    warn(error.message);
  }
  return true;
}

/** @param {Lack} lack */
export const howToInstall = ({ missing, packages }) =>
  findExecutable("apt-get") === undefined
    ? `Install with your package manager: ${missing.join(", ")}`
    : `To install: sudo apt-get install --yes --no-install-recommends ${packages.join(" ")}`;

/**
 * @param {readonly string[]} packages
 * @param {Lifetime} lifetime
 */
async function install(packages, lifetime) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const { signal } = lifetime;
  await step(`apt: ${packages.join(", ")}`, async (onLine) => {
    const common = {
      env,
      onLine,
      signal,
      timeoutMs: 15 * 60_000,
      next: "Install them by hand, then run the same command again.",
    };
    const forget = lifetime.add(allowServices);
    forbidServices();
    try {
      await run("apt-get", ["update"], { ...common, what: "apt-get update" });
      await run("apt-get", ["install", "--yes", "--no-install-recommends", ...packages], {
        ...common,
        what: "apt-get install",
      });
    } finally {
      allowServices();
      forget();
    }
  });
}

let policyIsOurs = false;

/**
 * Installing openssh-server would start the system's own sshd. The demo hosts do not use it, and opening port 22 is not
 * ours to decide: Debian asks this file before it starts a service. One that exists already is left as it is.
 */
function forbidServices() {
  try {
    fs.writeFileSync(policyFile, "#!/bin/sh\nexit 101\n", { mode: 0o755, flag: "wx" });
    policyIsOurs = true;
  } catch {
    // The machine has a policy of its own.
  }
}

function allowServices() {
  if (!policyIsOurs) return;
  policyIsOurs = false;
  fs.rmSync(policyFile, { force: true });
}
