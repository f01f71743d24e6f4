/** Registers the TypeScript kernel for a Jupyter. It is a package of its own, so that the library needs no Jupyter. */
import { execFileSync } from "child_process";
import { createRequire } from "module";
import { dirname, join, resolve } from "path";
import { CommandFailure, EXIT, printJson, printLine } from "../output";

export interface KernelOptions {
  user?: boolean;
  sysPrefix?: boolean;
  prefix?: string;
  json?: boolean;
}

/** What the kernel's package offers (extension/kernel/src/install.ts). */
interface Installer {
  readonly placeOfPrefix: (prefix: string) => unknown;
  readonly placeOfUser: () => unknown;
  readonly install: (place: unknown) => string;
  readonly uninstall: (place: unknown) => boolean;
}

const PACKAGE = "@lazycluster/extension";
/** [ms] */
const PYTHON_MS = 20_000;

export function kernel(action: string, options: KernelOptions): void {
  const installer = findInstaller();
  const place = placeOf(installer, options);
  if (action === "install") {
    const directory = installer.install(place);
    if (options.json) printJson({ directory });
    else printLine(`The kernel TypeScript (lazycluster) is registered in ${directory}. Jupyter offers it from now on.`);
    return;
  }
  const removed = installer.uninstall(place);
  if (options.json) printJson({ removed });
  else printLine(removed ? "The kernel is not registered any more." : "The kernel was not registered there.");
}

function placeOf(installer: Installer, options: KernelOptions): unknown {
  const given = [options.user, options.sysPrefix, options.prefix !== undefined].filter(Boolean).length;
  if (given > 1) throw new CommandFailure("--user, --sys-prefix and --prefix exclude each other.", EXIT.usage);
  if (options.prefix !== undefined) return installer.placeOfPrefix(resolve(options.prefix));
  return options.sysPrefix ? installer.placeOfPrefix(environmentPrefix()) : installer.placeOfUser();
}

/** Of the environment that is active, else of the python3 that a shell finds. */
function environmentPrefix(): string {
  const active = process.env["VIRTUAL_ENV"] ?? process.env["CONDA_PREFIX"];
  if (active) return active;
  try {
    return execFileSync("python3", ["-c", "import sys; print(sys.prefix)"], {
      encoding: "utf8",
      timeout: PYTHON_MS,
    }).trim();
  } catch {
    throw new CommandFailure(
      "There is no python3 whose prefix --sys-prefix could mean; use --prefix DIR.",
      EXIT.failed,
    );
  }
}

function findInstaller(): Installer {
  const require = createRequire(__filename);
  try {
    const manifest = require.resolve(`${PACKAGE}/package.json`);
    return require(join(dirname(manifest), "kernel", "dist", "install.js")) as Installer;
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new CommandFailure(
      `The kernel's package ${PACKAGE} is not installed or not built (${reason}). Run \`npm install ${PACKAGE}\`.`,
      EXIT.failed,
    );
  }
}
