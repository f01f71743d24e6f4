/** What must be on the machine beside Node: checked, installed by apt where we may, else said in one command. */
import { howToInstall, tryToInstall } from "./apt.mjs";
import { findExecutable } from "./processes.mjs";
import { say, step, warn } from "./progress.mjs";
import { aptPackageForVenv, findPythons, inOrderOfChoice, isNewEnough, nameOf, whyNot } from "./interpreters.mjs";
import { hasVenv } from "./python.mjs";

/** @typedef {import("./interpreters.mjs").Python} Python */
/** @typedef {import("./lifetime.mjs").Lifetime} Lifetime */

/** sshd is in a directory that ordinary users often do not have on their PATH. */
const systemDirectories = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/**
 * @typedef {object} Findings
 * @property {readonly Python[]} pythons with which .venv can be made, the best first; none where it exists
 * @property {readonly string[]} passedOver other Pythons that were found, and why they do not do
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

  const lookedAt = await lookForPythons(signal);
  return {
    ...lookedAt,
    sshd,
    missing: [...missing, ...lookedAt.missing],
    packages: [...packages, ...lookedAt.packages],
  };
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<Omit<Findings, "sshd">>}
 */
export async function lookForPythons(signal) {
  const none = { pythons: [], passedOver: [], missing: [], packages: [] };
  // Once the environment exists, it is the Python that counts.
  if (hasVenv()) return none;
  const all = await findPythons(signal);
  const pythons = inOrderOfChoice(all);
  if (pythons.length > 0) {
    const passedOver = all.flatMap((python) => {
      const reason = whyNot(python);
      return reason === undefined ? [] : [`${nameOf(python)}: ${reason}`];
    });
    return { ...none, pythons, passedOver };
  }
  const found = all.map((python) => `${nameOf(python)}, ${whyNot(python) ?? ""}`).join("; ");
  const newEnough = all.filter(isNewEnough);
  const what = newEnough.length === 0 ? "Python 3.10 or later" : "Python's venv and ensurepip";
  const mendable = newEnough.map(aptPackageForVenv).find((name) => name !== undefined);
  return {
    ...none,
    missing: [found === "" ? what : `${what} (found: ${found})`],
    packages: newEnough.length === 0 ? ["python3", "python3-venv"] : [mendable ?? "python3-venv"],
  };
}

/**
 * Checks the machine and mends what may be mended.
 * @param {Lifetime} lifetime
 * @returns {Promise<Findings>}
 */
export async function checkSystem(lifetime) {
  let findings = await step("system check", () => look(lifetime.signal));
  if (findings.missing.length > 0) {
    if (await tryToInstall(findings, lifetime)) findings = await look(lifetime.signal);
    if (findings.missing.length > 0) warn(`Not found: ${findings.missing.join(", ")}.\n${howToInstall(findings)}`);
    if (!findings.sshd) warn("Going on without demo hosts; `localhost` works without sshd.");
  }
  requirePython(findings);
  return findings;
}

/** @param {Pick<Findings, "pythons" | "passedOver">} findings */
export function requirePython({ pythons, passedOver }) {
  if (hasVenv()) return;
  if (pythons.length === 0) {
    throw new Error(
      "Without Python ≥ 3.10 and its venv module there is neither JupyterLab nor an agent for the hosts. Install it, then run the same command again.",
    );
  }
  for (const other of passedOver) say(`  Not taken: ${other}.`);
}
