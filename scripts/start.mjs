/**
 * `npm start`: sets everything up, starts demo hosts and JupyterLab, and serves until Ctrl-C.
 *
 *   --no-browser  only prints the URL
 *   --check       ends as soon as the first notebook can be opened (for tests)
 */
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { openBrowser } from "./lib/browser.mjs";
import { startDemoHosts } from "./lib/demo.mjs";
import { startJupyter } from "./lib/jupyter.mjs";
import { demoDirectory, firstNotebook, jupyterState, projectRoot } from "./lib/paths.mjs";
import { CommandError } from "./lib/processes.mjs";
import { say } from "./lib/progress.mjs";
import { runScript } from "./lib/script.mjs";
import { setUp } from "./lib/setup.mjs";

/** @typedef {import("./lib/jupyter.mjs").JupyterServer} JupyterServer */

const { values: options } = parseArgs({
  options: { "no-browser": { type: "boolean", default: false }, check: { type: "boolean", default: false } },
});

await runScript(async (lifetime) => {
  const { sshd } = await setUp(lifetime);
  const demo = sshd ? await startDemoHosts(lifetime, demoDirectory) : undefined;
  const environment = demo === undefined ? {} : { LAZYCLUSTER_SSH_CONFIG: demo.sshConfig };
  const server = await startJupyter(lifetime, {
    root: projectRoot,
    place: `/lab/tree/${firstNotebook}`,
    state: jupyterState,
    environment,
  });

  say();
  say(`  ${server.url}`);
  say();
  if (demo !== undefined)
    say(`  Demo hosts: ${demo.hosts.flatMap(({ name, pid }) => (pid === null ? [] : [name])).join(", ")}`);
  if (options.check) {
    await checkNotebook(server);
    return 0;
  }
  say("  Ctrl-C ends everything.");
  if (!options["no-browser"]) openBrowser(server.url);

  await Promise.race([lifetime.untilStopped(), server.ended]);
  if (!lifetime.signal.aborted) {
    throw new CommandError({ what: "JupyterLab", ending: "ended by itself", tail: server.tail() });
  }
  say("Ending JupyterLab, its kernels and the demo hosts …");
  return 0;
});

/**
 * A kernel is reached by what nobody else on the machine may open.
 * @param {JupyterServer} server
 */
async function checkKernel(server) {
  const { status, body } = await server.post("/api/kernels", { name: "lazycluster" });
  if (status !== 201)
    throw new Error(`JupyterLab answered a kernel's start with status ${status}: ${body.slice(0, 500)}`);
  const file = path.join(server.runtime, `kernel-${JSON.parse(body).id}.json`);
  const { transport } = JSON.parse(fs.readFileSync(file, "utf8"));
  const mode = fs.statSync(server.runtime).mode & 0o777;
  if (transport !== "ipc" || mode !== 0o700) {
    throw new Error(
      `The kernel listens by ${transport}, in a folder of mode ${mode.toString(8)}: others could read along.`,
    );
  }
}

/** @param {JupyterServer} server */
async function checkNotebook(server) {
  const places = [
    "/api/kernelspecs/lazycluster",
    `/api/contents/${firstNotebook}?content=1`,
    `/lab/tree/${firstNotebook}`,
  ];
  for (const place of places) {
    const { status, body } = await server.get(place);
    if (status !== 200) throw new Error(`JupyterLab answered ${place} with status ${status}: ${body.slice(0, 500)}`);
  }
  await checkKernel(server);
  say("✓ The first notebook opens, with its kernel.");
}
