/** What `npm start` and `npm test` both begin with: from a fresh checkout to something that runs. */
import fs from "node:fs";
import { build } from "./build.mjs";
import { registerKernel } from "./kernel.mjs";
import { installNpmPackages } from "./npm-packages.mjs";
import { inProject } from "./paths.mjs";
import { createVenv, hasVenv, installRequirements } from "./python.mjs";
import { checkSystem } from "./system.mjs";

/** @typedef {import("./lifetime.mjs").Lifetime} Lifetime */

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
  const developmentRequirements = inProject("python-shim", "requirements-dev.txt");
  if (development && fs.existsSync(developmentRequirements)) {
    await installRequirements("Python packages for the tests", developmentRequirements, signal);
  }
  await build(signal);
  await registerKernel();
  return { sshd };
}
