/** The virtual environment with JupyterLab. */
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { nameOf } from "./interpreters.mjs";
import { inProject, venvDirectory } from "./paths.mjs";
import { whatNext } from "./pip-advice.mjs";
import { run } from "./processes.mjs";
import { step } from "./progress.mjs";
import { isStamped, stamp } from "./stamps.mjs";

/** @typedef {import("./interpreters.mjs").Python} Python */

/** True where the virtual environment is complete (pip comes last) and its interpreter has not been removed since. */
export const hasVenv = (venv = venvDirectory) =>
  ["pyvenv.cfg", "bin/python", "bin/pip"].every((name) => fs.existsSync(path.join(venv, name)));

/** What is installed in the environment does not depend on the variables of the user's shell. */
export function pythonEnvironment() {
  const { PYTHONHOME: _home, PYTHONPATH: _path, VIRTUAL_ENV: _venv, ...rest } = process.env;
  return { ...rest, PYTHONNOUSERSITE: "1", PIP_DISABLE_PIP_VERSION_CHECK: "1", PIP_NO_INPUT: "1" };
}

/**
 * @param {Python} python
 * @param {AbortSignal} signal
 * @param {string} [venv]
 */
export async function createVenv(python, signal, venv = venvDirectory) {
  await step(`${path.basename(venv)} with ${nameOf(python)}`, async (onLine) => {
    await run(python.executable, ["-m", "venv", "--clear", venv], {
      what: "python -m venv",
      timeoutMs: 3 * 60_000,
      env: pythonEnvironment(),
      next: `Remove ${path.basename(venv)}, check that \`${python.executable} -m venv\` works, and try again.`,
      onLine,
      signal,
    });
  });
}

/**
 * As it was made.
 * @param {string} venv
 */
function versionOf(venv) {
  const config = fs.readFileSync(path.join(venv, "pyvenv.cfg"), "utf8");
  return /^version(?:_info)? *= *([\d.]+)/m.exec(config)?.[1] ?? "?";
}

/**
 * @param {readonly string[]} args of `pip install`
 * @param {{ signal: AbortSignal, onLine?: (line: string) => void }} options
 * @param {string} [venv]
 */
export async function pipInstall(args, options, venv = venvDirectory) {
  await run(
    path.join(venv, "bin", "python"),
    ["-m", "pip", "install", "--prefer-binary", "--progress-bar=off", ...args],
    {
      what: `pip install, with Python ${versionOf(venv)}`,
      timeoutMs: 20 * 60_000,
      env: pythonEnvironment(),
      next: (tail) => whatNext(tail, versionOf(venv)),
      ...options,
    },
  );
}

/**
 * Installs pinned requirements files, unless exactly these were installed last.
 * @param {string} title
 * @param {readonly string[]} files
 * @param {AbortSignal} signal
 * @param {string} [venv]
 */
export async function installRequirements(title, files, signal, venv = venvDirectory) {
  const name = path.relative(inProject(), files.at(-1) ?? "").replaceAll(path.sep, "-");
  const stampFile = path.join(venv, "var", "installed", name);
  const hash = crypto.createHash("sha256");
  for (const file of files) hash.update(fs.readFileSync(file));
  const value = hash.digest("hex");
  await step(title, async (onLine) => {
    if (isStamped(stampFile, value)) return;
    await pipInstall(
      files.flatMap((file) => ["--requirement", file]),
      { signal, onLine },
      venv,
    );
    stamp(stampFile, value);
  });
}
