/** Starts the kernel: `node main.js --config-path <connection file>`, as the kernelspec says. */
import { parseArgs } from "util";
import { exitAfterShutdown, exitWithParent } from "./lifetime";
import { findLibrary, hookLoader, hookTypeChecker } from "./resolve";
import { Tslab, tslabVersion } from "./tslab";

function main(): void {
  const { values } = parseArgs({ options: { "config-path": { type: "string" } } });
  const configPath = values["config-path"];
  if (configPath === undefined) throw new Error("Usage: main.js --config-path <connection file>");

  const tslab = new Tslab();
  const library = findLibrary(process.cwd());
  hookTypeChecker(tslab, library);
  hookLoader(library);
  exitAfterShutdown(tslab.loadJupyter().ZmqServer.prototype);
  exitWithParent();
  // A tslab that the notebook's folder happens to have would be started without what was prepared here.
  tslab.loadMain().startKernel({ configPath, enableFindLocal: false, jsKernel: false, globalVersion: tslabVersion });
}

try {
  main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
