/** Demo hosts for `npm start` and the tests, by the same code as `lazycluster demo`. */
import { createRequire } from "node:module";
import { inProject } from "./paths.mjs";
import { step, warn } from "./progress.mjs";

/** @typedef {import("./lifetime.mjs").Lifetime} Lifetime */
/** @typedef {import("../../core/src/cli/demo/index.js").DemoUp} DemoUp */
/** @typedef {typeof import("../../core/src/cli/demo/index.js")} Demo */

/**
 * Starts the demo hosts and has those that it started ended with everything else.
 * @param {Lifetime} lifetime
 * @param {string} directory
 * @returns {Promise<DemoUp | undefined>} undefined where they cannot be had
 */
export async function startDemoHosts(lifetime, directory) {
  const require = createRequire(import.meta.url);
  /** @type {Demo} */
  const { demoUp, demoDown, demoStatus } = require(inProject("core", "dist", "cli", "demo", "index.js"));
  const running = () => demoStatus({ directory }).hosts.flatMap(({ name, pid }) => (pid === null ? [] : [name]));
  try {
    return await step("demo hosts", async () => {
      const before = running();
      // Before they are started, so that those of a start that fails half-way are ended too.
      lifetime.add(async () => {
        const hosts = running().filter((name) => !before.includes(name));
        if (hosts.length > 0) await demoDown({ directory, hosts });
      });
      return await demoUp({ directory });
    });
  } catch (error) {
    lifetime.throwIfStopped();
    warn(
      `${error instanceof Error ? error.message : String(error)}\nGoing on without demo hosts; \`localhost\` works without sshd.`,
    );
    return undefined;
  }
}
