/** The npm packages of all workspaces, exactly as package-lock.json says. */
import fs from "node:fs";
import { inProject, projectRoot } from "./paths.mjs";
import { run } from "./processes.mjs";
import { step } from "./progress.mjs";

/** @typedef {{ packages?: Record<string, { version?: string, link?: boolean, optional?: boolean, devOptional?: boolean }> }} Lock */

/**
 * @param {string} file
 * @returns {Lock | undefined}
 */
function readLock(file) {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * npm writes what it has installed into node_modules/.package-lock.json, as the last thing it does. So this file says
 * whether node_modules is complete and current, also when a developer has run npm by hand.
 */
function isCurrent() {
  const wanted = readLock(inProject("package-lock.json"))?.packages;
  const installed = readLock(inProject("node_modules", ".package-lock.json"))?.packages;
  if (wanted === undefined || installed === undefined) return false;
  return Object.entries(wanted).every(([place, { version, link, optional, devOptional }]) => {
    // Optional packages are missing where they are for another platform.
    if (!place.includes("node_modules/") || optional === true || devOptional === true) return true;
    const found = installed[place];
    return found !== undefined && (link === true || found.version === version) && fs.existsSync(inProject(place));
  });
}

/** @param {AbortSignal} signal */
export async function installNpmPackages(signal) {
  await step("npm packages", async (onLine) => {
    if (isCurrent()) return;
    const command = fs.existsSync(inProject("package-lock.json")) ? "ci" : "install";
    await run("npm", [command, "--no-audit", "--no-fund", "--loglevel=warn"], {
      what: `npm ${command}`,
      timeoutMs: 20 * 60_000,
      cwd: projectRoot,
      next: "Check that this machine reaches the npm registry (`npm ping`), then run the same command again.",
      onLine,
      signal,
    });
  });
}
