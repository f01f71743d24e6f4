/** The environment of the bench's peers, which its hosts see too. */
import fs from "node:fs";
import path from "node:path";
import { findPythons, inOrderOfChoice } from "./interpreters.mjs";
import { inProject } from "./paths.mjs";
import { createVenv, hasVenv, installRequirements } from "./python.mjs";

const venv = inProject(".bench-venv");

/** @param {AbortSignal} signal */
export async function installPeers(signal) {
  if (!hasVenv(venv)) {
    const [python] = inOrderOfChoice(await findPythons(signal));
    if (python === undefined) throw new Error("There is no Python that can make .bench-venv.");
    await createVenv(python, signal, venv);
  }
  // The reference installs cloudpickle on the host at each call; the hosts have no network, and have it already.
  const configuration = path.join(venv, "pip.conf");
  fs.rmSync(configuration, { force: true });
  await installRequirements("the peers", [inProject("bench", "peers", "requirements.txt")], signal, venv);
  fs.writeFileSync(configuration, "[global]\nno-index = true\ndisable-pip-version-check = true\n");
}
