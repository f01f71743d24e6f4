/** Which Python makes .venv: the newest suitable one on PATH. */
import fs from "node:fs";
import path from "node:path";
import { promisedPythons } from "./locks.mjs";
import { capture } from "./processes.mjs";

/**
 * @typedef {object} Python
 * @property {string} executable
 * @property {readonly number[]} version
 * @property {readonly string[]} lacks modules that an environment with packages needs
 */

/** @param {string} version */
const numbers = (version) => version.split(".").map(Number);

const oldest = numbers(promisedPythons[0] ?? "");
const newest = numbers(promisedPythons.at(-1) ?? "");

const describe = `
import json, sys
lacks = []
for name in ("venv", "ensurepip", "ssl", "zlib"):
    try: __import__(name)
    except ImportError: lacks.append(name)
print(json.dumps({"executable": sys.executable, "version": sys.version_info[:3], "lacks": lacks}))
`;

/**
 * All interpreters on PATH. Each is really run: a name may be a shim of a version manager that has no such version.
 * @param {AbortSignal} signal
 * @returns {Promise<Python[]>}
 */
export async function findPythons(signal) {
  /** @type {Map<string, Python>} */
  const found = new Map();
  await Promise.all(
    pythonsOnPath().map(async (file) => {
      try {
        const result = await capture(file, ["-c", describe], { what: file, timeoutMs: 20_000, signal });
        if (result.code !== 0) return;
        /** @type {Python} */
        const python = JSON.parse(result.stdout);
        found.set(fs.realpathSync(python.executable), python);
      } catch {
        signal.throwIfAborted();
      }
    }),
  );
  return [...found.values()];
}

/** `python`, `python3`, `python3.13`, …, each file once. */
function pythonsOnPath() {
  const directories = (process.env["PATH"] ?? "").split(path.delimiter).filter((entry) => path.isAbsolute(entry));
  const entries = directories.flatMap((directory) => {
    try {
      return fs.readdirSync(directory).map((name) => path.join(directory, name));
    } catch {
      return [];
    }
  });
  const files = entries.flatMap((file) => {
    try {
      return /^python(3(\.\d+)?)?$/.test(path.basename(file)) ? [fs.realpathSync(file)] : [];
    } catch {
      return []; // a link to nowhere
    }
  });
  return [...new Set(files)];
}

/**
 * @param {readonly number[]} left
 * @param {readonly number[]} right
 */
const compare = (left, right) => left.map((part, at) => part - (right[at] ?? 0)).find((part) => part !== 0) ?? 0;

/** @param {Python} python */
export const isNewEnough = ({ version }) => compare(version, oldest) >= 0;

/**
 * A minor version for which nobody has tried the pinned packages.
 * @param {Python} python
 */
const isUntried = ({ version }) => compare(version.slice(0, 2), newest) > 0;

/**
 * The best one first: the newest for which the pinned packages are tried, then those that are newer still.
 * @param {readonly Python[]} pythons
 */
export const inOrderOfChoice = (pythons) =>
  pythons
    .filter((python) => isNewEnough(python) && python.lacks.length === 0)
    .sort((left, right) => Number(isUntried(left)) - Number(isUntried(right)) || compare(right.version, left.version));

/** @param {Python} python */
export const nameOf = ({ executable, version }) => `Python ${version.join(".")} (${executable})`;

/**
 * Why this one does not count, or undefined.
 * @param {Python} python
 */
export function whyNot(python) {
  if (!isNewEnough(python)) return `older than ${oldest.slice(0, 2).join(".")}`;
  return python.lacks.length > 0 ? `without ${python.lacks.join(", ")}` : undefined;
}

/** @param {Python} python */
export const aptPackageForVenv = ({ executable, version }) =>
  executable.startsWith("/usr/bin/") ? `python${version.slice(0, 2).join(".")}-venv` : undefined;
