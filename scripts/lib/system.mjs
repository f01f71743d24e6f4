/** What must be on the machine beside Node: checked, installed by apt where we may, else said in one command. */
import fs from "node:fs";
import { CommandError, findExecutable, run } from "./processes.mjs";
import { say, step, warn } from "./progress.mjs";
import { aptPackageForVenv, findPythons, hasVenv } from "./python.mjs";

/** @typedef {import("./python.mjs").Python} Python */
/** @typedef {import("./lifetime.mjs").Lifetime} Lifetime */

/** sshd is in a directory that ordinary users often do not have on their PATH. */
const systemDirectories = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
const policyFile = "/usr/sbin/policy-rc.d";

/**
 * @typedef {object} Findings
 * @property {Python | undefined} python one with which .venv can be made, if there is none yet
 * @property {boolean} sshd
 * @property {string[]} missing what was not found, in words
 * @property {string[]} packages Debian's names of what would mend it
 */

/**
 * @param {AbortSignal} signal
 * @returns {Promise<Findings>}
 */
async function look(signal) {
  const found = (/** @type {string} */ name) => findExecutable(name, systemDirectories) !== undefined;
  /** @type {string[]} */
  const missing = [];
  /** @type {string[]} */
  const packages = [];
  for (const name of ["ssh", "ssh-keygen"]) {
    if (found(name)) continue;
    missing.push(name);
    if (!packages.includes("openssh-client")) packages.push("openssh-client");
  }
  const sshd = found("sshd");
  if (!sshd) {
    missing.push("sshd (for the demo hosts)");
    packages.push("openssh-server");
  }

  // Once the environment exists, it is the Python that counts.
  if (hasVenv()) return { python: undefined, sshd, missing, packages };
  const pythons = await findPythons(signal);
  const python = pythons.find((candidate) => candidate.hasVenv);
  if (python === undefined) {
    const mendable = pythons.map(aptPackageForVenv).find((name) => name !== undefined);
    missing.push(pythons.length === 0 ? "Python 3.10 or later" : "Python's venv and ensurepip");
    packages.push(...(pythons.length === 0 ? ["python3", "python3-venv"] : [mendable ?? "python3-venv"]));
  }
  return { python, sshd, missing, packages };
}

/**
 * @param {readonly string[]} packages
 * @param {Lifetime} lifetime
 */
async function installByApt(packages, lifetime) {
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

/**
 * Checks the machine and mends what may be mended.
 * @param {Lifetime} lifetime
 * @returns {Promise<Findings>}
 */
export async function checkSystem(lifetime) {
  let findings = await step("system check", () => look(lifetime.signal));
  if (findings.missing.length === 0) return findings;

  const aptCommand = `apt-get install --yes --no-install-recommends ${findings.packages.join(" ")}`;
  const isRoot = process.getuid?.() === 0;
  if (isRoot && findExecutable("apt-get") !== undefined) {
    say(`  Not found: ${findings.missing.join(", ")}. Installing by apt: ${findings.packages.join(", ")}`);
    try {
      await installByApt(findings.packages, lifetime);
    } catch (error) {
      // What cannot be installed may not be needed: go on with what works.
      if (!(error instanceof CommandError)) throw error;
      warn(error.message);
    }
    findings = await look(lifetime.signal);
  }

  if (findings.missing.length > 0) {
    const command =
      findExecutable("apt-get") === undefined
        ? `Install with your package manager: ${findings.missing.join(", ")}`
        : `To install: sudo ${aptCommand}`;
    warn(`Not found: ${findings.missing.join(", ")}.\n${command}`);
  }
  if (findings.python === undefined && !hasVenv()) {
    throw new Error(
      "Without Python ≥ 3.10 and its venv module there is no JupyterLab. Install it, then run the same command again.",
    );
  }
  if (!findings.sshd) warn("Going on without demo hosts; `localhost` works without sshd.");
  return findings;
}
