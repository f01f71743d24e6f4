/** What `npm start` and `npm test` both begin with: from a fresh checkout to something that runs. */
import { borrowedPin, hasBorrowed } from "./agent-bundle.mjs";
import { build } from "./build.mjs";
import { registerKernel } from "./kernel.mjs";
import { installNpmPackages } from "./npm-packages.mjs";
import { inProject } from "./paths.mjs";
import { createVenv, hasVenv, installRequirements, pipInstall } from "./python.mjs";
import { howToInstall } from "./apt.mjs";
import { step, warn } from "./progress.mjs";
import { checkSystem, lookForPythons, requirePython } from "./system.mjs";

/** @typedef {import("./lifetime.mjs").Lifetime} Lifetime */

const requirements = inProject("scripts", "requirements.txt");
const requirementsOfTests = inProject("scripts", "requirements-tests.txt");

/**
 * @param {Lifetime} lifetime
 * @param {{ development?: boolean }} [options] with `development`, also what only the tests need
 * @returns {Promise<{ sshd: boolean }>} whether demo hosts can be had
 */
export async function setUp(lifetime, { development = false } = {}) {
  const { signal } = lifetime;
  const {
    pythons: [python],
    sshd,
  } = await checkSystem(lifetime);
  await installNpmPackages(signal);
  if (python !== undefined && !hasVenv()) await createVenv(python, signal);
  await installRequirements("Python packages", [requirements], signal);
  if (development)
    await installRequirements("Python packages for the tests", [requirements, requirementsOfTests], signal);
  await build(signal);
  await registerKernel();
  return { sshd };
}

/**
 * What a build needs where nothing was set up: the one Python package that is a part of the host agent. It goes into the
 * same .venv, which `npm start` completes.
 * @param {AbortSignal} signal
 */
export async function setUpBuild(signal) {
  if (hasBorrowed()) return;
  const findings = await lookForPythons(signal);
  if (findings.missing.length > 0) warn(`Not found: ${findings.missing.join(", ")}.\n${howToInstall(findings)}`);
  requirePython(findings);
  const [python] = findings.pythons;
  if (python !== undefined) await createVenv(python, signal);
  await step(borrowedPin(), (onLine) => pipInstall([borrowedPin()], { signal, onLine }));
}
