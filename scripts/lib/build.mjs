/** From sources to what runs: the TypeScript projects, and the agent that is sent to the hosts. */
import fs from "node:fs";
import { agentOutputs, agentSources, writeAgentBundle } from "./agent-bundle.mjs";
import { writeJsWorker } from "./js-worker.mjs";
import { inProject, projectRoot } from "./paths.mjs";
import { run } from "./processes.mjs";
import { step } from "./progress.mjs";
import { hashOf, isStamped, stamp } from "./stamps.mjs";

const stampDirectory = inProject("node_modules", ".cache", "lazycluster");
const typescript = inProject("node_modules", "typescript", "bin", "tsc");

/**
 * @param {string} name
 * @param {string} inputs
 * @param {readonly string[]} outputs
 * @param {() => void | Promise<void>} work
 */
async function unlessCurrent(name, inputs, outputs, work) {
  const file = `${stampDirectory}/${name}`;
  if (isStamped(file, inputs) && outputs.every((output) => fs.existsSync(inProject(output)))) return;
  await work();
  stamp(file, inputs);
}

/**
 * Type-checks and compiles; incremental, so that it takes a moment where little has changed.
 * @param {readonly string[]} projects
 * @param {{ onLine?: (line: string) => void, signal?: AbortSignal }} [options]
 */
export async function compile(projects, options = {}) {
  await run(process.execPath, [typescript, "-b", ...projects], {
    what: `tsc -b ${projects.join(" ")}`.trim(),
    timeoutMs: 10 * 60_000,
    cwd: projectRoot,
    ...options,
  });
}

/** @param {AbortSignal} signal */
export async function build(signal) {
  await step("build", async (onLine) => {
    const projects = ["core", "extension/kernel"];
    const settings = [
      "package-lock.json",
      "tsconfig.base.json",
      ...projects.map((project) => `${project}/tsconfig.json`),
    ];
    const sources = hashOf(
      [...settings, ...projects.map((project) => `${project}/src`)].map((name) => inProject(name)),
    );
    await unlessCurrent("typescript", sources, ["core/dist/index.js", "extension/kernel/dist/main.js"], () =>
      compile(projects, { onLine, signal }),
    );
    const agent = hashOf(agentSources(), (name) => name !== "__pycache__");
    await unlessCurrent("agent", agent, agentOutputs, writeAgentBundle);
    const worker = hashOf([
      inProject("core/src"),
      inProject("scripts/lib/js-worker.mjs"),
      inProject("package-lock.json"),
    ]);
    await unlessCurrent("js-worker", worker, ["core/dist/agent/js-worker.bin"], writeJsWorker);
  });
}
