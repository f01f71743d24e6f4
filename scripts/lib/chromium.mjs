/** The browser of the suite `ui`: found, installed by apt where we may, else said how. */
import { howToInstall, tryToInstall } from "./apt.mjs";
import { findExecutable } from "./processes.mjs";
import { step } from "./progress.mjs";

/** @typedef {import("./lifetime.mjs").Lifetime} Lifetime */

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const lack = { missing: ["Chromium"], packages: ["chromium"] };

const findChromium = () => names.map((name) => findExecutable(name)).find((file) => file !== undefined);

/**
 * @param {Lifetime} lifetime
 * @returns {Promise<string | undefined>} its program
 */
export async function provideChromium(lifetime) {
  const found = await step("browser check", findChromium);
  // In a call of its own: where apt does not know the package, the rest of the set-up must not suffer.
  if (found !== undefined || !(await tryToInstall(lack, lifetime))) return found;
  return findChromium();
}

export const whyNoChromium = () => `no Chromium. ${howToInstall(lack)}`;
