/** Starts the kernel: `node main.js --config-path <connection file>`, as the kernelspec says. */
import { Kernel, ThreadState, type TslabParts, kernelInfo } from "lazycluster/notebook";
import { parseArgs } from "util";
import { Compiler } from "./compiler";
import { exitWithParent } from "./lifetime";
import { libraryMagics } from "./magics";
import { findLibrary, hookLoader } from "./resolve";
import { Tslab } from "./tslab";
import { readConnectionFile } from "./wire/connection-file";
import { Link } from "./wire/link";

function main(): void {
  const { values } = parseArgs({ options: { "config-path": { type: "string" } } });
  const configPath = values["config-path"];
  if (configPath === undefined) throw new Error("Usage: main.js --config-path <connection file>");

  const tslab = new Tslab();
  const state = new ThreadState();
  // Clients are answered while the compiler is still being loaded.
  const link = new Link(readConnectionFile(configPath), state.memory, kernelInfo(tslab.typescriptVersion));
  exitWithParent();
  const library = findLibrary(process.cwd());
  hookLoader(library);
  const kernel = new Kernel({
    transport: link,
    state,
    tslab: prepare(tslab, library),
    magics: libraryMagics(library),
    exit: () => void link.close().then(() => process.exit(0)),
  });
  // Cells that use tslab's own display write here.
  tslab.load("jupyter").lastWriteDisplayData = (content: Readonly<Record<string, unknown>>, update: boolean) =>
    kernel.showDisplay(content, update);
  link.listen({
    request: (request) => void kernel.handle(request),
    interrupt: () => kernel.interrupt(),
    stopped: () => kernel.stopped(),
  });
  // A cell may call process.exit.
  process.on("exit", () => link.closeNow());
  process.on("SIGINT", () => kernel.interrupt());
  process.on("uncaughtException", (error) => kernel.report(error));
  process.on("unhandledRejection", (reason) => kernel.report(reason));
}

function prepare(tslab: Tslab, library: string): TslabParts {
  const compiler = new Compiler(tslab, library);
  compiler.prepare();
  return {
    typescript: tslab.loadTypeScript(),
    createConverter: (options) => tslab.load("converter").createConverter(options),
    createExecutor: (root, converters, console) => tslab.load("executor").createExecutor(root, converters, console),
    printQuickInfo: (info) => tslab.load("inspect").printQuickInfo(info),
    mapsOf: (output) => compiler.mapsOf(output),
  };
}

try {
  main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
