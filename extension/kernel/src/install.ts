/** Registers the kernel for a Jupyter, and takes it away again. */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "fs";
import { homedir } from "os";
import { join } from "path";

export const kernelName = "lazycluster";

/** What papermill needs for parameters of notebooks in TypeScript; a Python module and its entry point. */
const papermillFolder = join(__dirname, "..", "papermill");

/** What a loop is stopped by without harm is hidden from Node 24 on. */
const FLAGS = Number.parseInt(process.versions.node, 10) >= 24 ? ["--expose-internals"] : [];

/** Where a kernel is registered. */
export interface Place {
  /** Folder with the folders of kernels. */
  readonly kernels: string;
  /** Folders that hold an environment's Python packages; empty where there is no environment. */
  readonly sitePackages: readonly string[];
}

/** Of an environment, such as a virtual environment or one of conda. */
export function placeOfPrefix(prefix: string): Place {
  const lib = join(prefix, "lib");
  const pythons = existsSync(lib) ? readdirSync(lib).filter((name) => /^python3\.\d+$/.test(name)) : [];
  return {
    kernels: join(prefix, "share", "jupyter", "kernels"),
    sitePackages: pythons.map((name) => join(lib, name, "site-packages")).filter((folder) => existsSync(folder)),
  };
}

/** Of the user, for every Jupyter that they start. */
export function placeOfUser(env: NodeJS.ProcessEnv = process.env): Place {
  return { kernels: join(userData(env), "kernels"), sitePackages: [] };
}

function userData(env: NodeJS.ProcessEnv): string {
  if (env["JUPYTER_DATA_DIR"]) return env["JUPYTER_DATA_DIR"];
  if (process.platform === "darwin") return join(homedir(), "Library", "Jupyter");
  if (process.platform === "win32") return join(env["APPDATA"] ?? join(homedir(), "AppData", "Roaming"), "jupyter");
  return join(env["XDG_DATA_HOME"] || join(homedir(), ".local", "share"), "jupyter");
}

/**
 * It is started by the Node that runs this, by absolute paths: a Jupyter server may have another PATH. Gives the kernelspec's
 * directory.
 */
export function install({ kernels, sitePackages }: Place): string {
  const directory = join(kernels, kernelName);
  const spec = {
    argv: [process.execPath, ...FLAGS, join(__dirname, "main.js"), "--config-path", "{connection_file}"],
    display_name: "TypeScript (lazycluster)",
    language: "typescript",
    // A message stops what a signal cannot: a loop behind an `await`.
    interrupt_mode: "message",
  };
  writeWhole(directory, "kernel.json", `${JSON.stringify(spec, null, 2)}\n`);
  for (const folder of sitePackages) {
    for (const name of readdirSync(papermillFolder)) {
      if (isOurs(name)) cpSync(join(papermillFolder, name), join(folder, name), { recursive: true });
    }
  }
  return directory;
}

/** False where it was not installed. */
export function uninstall({ kernels, sitePackages }: Place): boolean {
  const directory = join(kernels, kernelName);
  const found = existsSync(join(directory, "kernel.json"));
  rmSync(directory, { recursive: true, force: true });
  for (const folder of sitePackages) {
    for (const name of readdirSync(folder).filter(isOurs)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  return found;
}

/** For a prefix, as `npm start` does it. */
export function installKernelspec(prefix: string): string {
  return install(placeOfPrefix(prefix));
}

function isOurs(name: string): boolean {
  return name === "lazycluster_papermill.py" || /^lazycluster_papermill-.*\.dist-info$/.test(name);
}

/** By a rename, for a running server may be reading it. */
function writeWhole(directory: string, name: string, text: string): void {
  const file = join(directory, name);
  if (existsSync(file) && readFileSync(file, "utf8") === text) return;
  mkdirSync(directory, { recursive: true });
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, file);
}
