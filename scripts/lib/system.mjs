/** What must be on the machine beside Node: checked, installed by apt where we may, else said in one command. */
import { howToInstall, tryToInstall } from "./apt.mjs";
import { findExecutable } from "./processes.mjs";
import { step, warn } from "./progress.mjs";
import { aptPackageForVenv, findPythons, hasVenv } from "./python.mjs";

/** @typedef {import("./python.mjs").Python} Python */
/** @typedef {import("./lifetime.mjs").Lifetime} Lifetime */

/** sshd is in a directory that ordinary users often do not have on their PATH. */
const systemDirectories = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

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
 * Checks the machine and mends what may be mended.
 * @param {Lifetime} lifetime
 * @returns {Promise<Findings>}
 */
export async function checkSystem(lifetime) {
  let findings = await step("system check", () => look(lifetime.signal));
  if (findings.missing.length === 0) return findings;

  if (await tryToInstall(findings, lifetime)) findings = await look(lifetime.signal);
  if (findings.missing.length > 0) warn(`Not found: ${findings.missing.join(", ")}.\n${howToInstall(findings)}`);
  if (findings.python === undefined && !hasVenv()) {
    throw new Error(
      "Without Python ≥ 3.10 and its venv module there is no JupyterLab. Install it, then run the same command again.",
    );
  }
  if (!findings.sshd) warn("Going on without demo hosts; `localhost` works without sshd.");
  return findings;
}
