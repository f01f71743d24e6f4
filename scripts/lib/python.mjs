/** Python: which interpreter, and the virtual environment with JupyterLab. */
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { inProject, venvDirectory, venvPython } from "./paths.mjs";
import { capture, findExecutable, run } from "./processes.mjs";
import { step } from "./progress.mjs";
import { isStamped, stamp } from "./stamps.mjs";

/** @typedef {{ executable: string, version: string, hasVenv: boolean }} Python */

const oldestMinor = 10;
// The user's own choice first; named versions help where `python3` is an older one.
const names = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];

const describe = `
import importlib.util, json, sys
has = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
print(json.dumps({"executable": sys.executable, "major": sys.version_info[0], "minor": sys.version_info[1],
                  "version": "%d.%d.%d" % sys.version_info[:3], "hasVenv": has}))
`;

/**
 * The interpreters that are new enough, in order of preference. Each is really run: a name on PATH may be a shim of a
 * version manager that has no such version.
 * @param {AbortSignal} signal
 * @returns {Promise<Python[]>}
 */
export async function findPythons(signal) {
  /** @type {Map<string, Python>} */
  const found = new Map();
  for (const name of names) {
    const file = findExecutable(name);
    if (file === undefined) continue;
    try {
      const result = await capture(file, ["-c", describe], { what: name, timeoutMs: 20_000, signal });
      if (result.code !== 0) continue;
      /** @type {Python & { major: number, minor: number }} */
      const { executable, version, hasVenv, major, minor } = JSON.parse(result.stdout);
      if (major === 3 && minor >= oldestMinor) found.set(executable, { executable, version, hasVenv });
    } catch {
      signal.throwIfAborted();
    }
  }
  return [...found.values()];
}

/** @param {Python} python */
export const aptPackageForVenv = (python) =>
  python.executable.startsWith("/usr/bin/")
    ? `python${python.version.split(".").slice(0, 2).join(".")}-venv`
    : undefined;

/** True where the virtual environment exists and its interpreter has not been removed since. */
export const hasVenv = () => fs.existsSync(venvPython) && fs.existsSync(path.join(venvDirectory, "pyvenv.cfg"));

/** What is installed in the environment does not depend on the variables of the user's shell. */
export function pythonEnvironment() {
  const { PYTHONHOME: _home, PYTHONPATH: _path, VIRTUAL_ENV: _venv, ...rest } = process.env;
  return { ...rest, PYTHONNOUSERSITE: "1", PIP_DISABLE_PIP_VERSION_CHECK: "1", PIP_NO_INPUT: "1" };
}

/**
 * @param {Python} python
 * @param {AbortSignal} signal
 */
export async function createVenv(python, signal) {
  await step(`.venv with Python ${python.version}`, async (onLine) => {
    await run(python.executable, ["-m", "venv", "--clear", venvDirectory], {
      what: "python -m venv",
      timeoutMs: 3 * 60_000,
      env: pythonEnvironment(),
      next: `Remove ${path.basename(venvDirectory)}, check that \`${python.executable} -m venv\` works, and try again.`,
      onLine,
      signal,
    });
  });
}

/**
 * Installs a pinned requirements file into .venv, unless exactly this file was installed last.
 * @param {string} title
 * @param {string} file
 * @param {AbortSignal} signal
 */
export async function installRequirements(title, file, signal) {
  const name = path.relative(inProject(), file).replaceAll(path.sep, "-");
  const stampFile = path.join(venvDirectory, "var", "installed", name);
  const value = crypto.createHash("sha256").update(fs.readFileSync(file)).digest("hex");
  await step(title, async (onLine) => {
    if (isStamped(stampFile, value)) return;
    await run(venvPython, ["-m", "pip", "install", "--prefer-binary", "--progress-bar=off", "--requirement", file], {
      what: "pip install",
      timeoutMs: 20 * 60_000,
      env: pythonEnvironment(),
      next: "Check that this machine reaches the Python package index, then run the same command again.",
      onLine,
      signal,
    });
    stamp(stampFile, value);
  });
}
