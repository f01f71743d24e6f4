/** What `npm start` and `npm test` both begin with: from a fresh checkout to something that runs. */
import { build } from "./build.mjs";
import { registerKernel } from "./kernel.mjs";
import { installNpmPackages } from "./npm-packages.mjs";
import { inProject } from "./paths.mjs";
import { createVenv, hasVenv, installRequirements } from "./python.mjs";
import { checkSystem } from "./system.mjs";

/** @typedef {import("./lifetime.mjs").Lifetime} Lifetime */

/**
 * What only the tests need.
 * @type {readonly [string, ...string[]][]}
 */
const developmentRequirements = [
  ["Python packages for the tests", "python-shim", "requirements-dev.txt"],
  ["Python packages for the kernel's tests", "extension", "kernel", "test", "requirements.txt"],
  ["Notebook 7", "ui-tests", "requirements.txt"],
];

/**
 * @param {Lifetime} lifetime
 * @param {{ development?: boolean }} [options] with `development`, also what only the tests need
 * @returns {Promise<{ sshd: boolean }>} whether demo hosts can be had
 */
export async function setUp(lifetime, { development = false } = {}) {
  const { signal } = lifetime;
  const { python, sshd } = await checkSystem(lifetime);
  await installNpmPackages(signal);
  if (python !== undefined && !hasVenv()) await createVenv(python, signal);
  await installRequirements("Python packages", inProject("scripts", "requirements.txt"), signal);
  if (development) {
    for (const [title, ...file] of developmentRequirements)
      await installRequirements(title, inProject(...file), signal);
  }
  await build(signal);
  await registerKernel();
  return { sshd };
}
