/**
 * The locks of Python packages: each `….in` names what is wanted, the `….txt` beside it pins all that this brings along,
 * once for every Python that we promise, patch releases included. uv writes them and looks whether they hold.
 */
import fs from "node:fs";
import path from "node:path";
import { inProject, venvDirectory } from "./paths.mjs";
import { capture, run } from "./processes.mjs";

/**
 * @typedef {object} Lock
 * @property {string} name of the files, without `.in` and `.txt`
 * @property {string} [base] the lock that is installed into the same environment before
 * @property {readonly string[]} [fromSource] packages that are published as sources only; of all others there must be wheels
 */

/** @type {readonly Lock[]} */
export const locks = [
  { name: "scripts/requirements" },
  { name: "scripts/requirements-tests", base: "scripts/requirements" },
  { name: "bench/peers/requirements", fromSource: ["stormssh"] },
];

/** The oldest that is promised, what Debian 12 has, and the first of each; some packages begin in the middle of a minor version. */
export const promisedPythons = ["3.10.0", "3.11.0", "3.11.2", "3.12.0", "3.13.0", "3.14.0"];

/** Where the installed packages come from; no other place is asked, so Pythons are not fetched either. */
const environment = { ...process.env, UV_PYTHON_DOWNLOADS: "never", UV_NO_CONFIG: "1" };
const cache = path.join(venvDirectory, "var", "uv");
const common = ["pip", "compile", "--quiet", "--no-annotate", "--cache-dir", cache];
const timeoutMs = 2 * 60_000;

const uv = path.join(venvDirectory, "bin", "uv");

/** @param {string} name */
const pinned = (name) => inProject(`${name}.txt`);

/**
 * `name==version` of each line, as written.
 * @param {string} text
 */
const pinsOf = (text) => [...text.matchAll(/^[\w.-]+==[^\s;]+/gm)].map(([pin]) => pin);

/** @param {string} pin */
const nameOf = (pin) => pin.replace(/==.*/, "");

/** @param {string} name */
export const readPins = (name) => pinsOf(fs.readFileSync(pinned(name), "utf8"));

/**
 * Writes the lock anew. Versions that are pinned stay, unless they are to be upgraded or do no longer fit.
 * @param {Lock} lock
 * @param {{ upgrade: boolean, signal: AbortSignal }} options
 */
export async function writeLock({ name, base }, { upgrade, signal }) {
  const inBase = base === undefined ? [] : readPins(base).map(nameOf);
  await run(
    uv,
    [
      ...common,
      "--universal",
      ...["--python-version", promisedPythons[0] ?? ""],
      ...["--custom-compile-command", "npm run lock"],
      ...(upgrade ? ["--upgrade"] : []),
      ...[...new Set(inBase)].flatMap((other) => ["--no-emit-package", other]),
      ...["--output-file", pinned(name), inProject(`${name}.in`)],
    ],
    { what: `uv pip compile ${name}.in`, timeoutMs, env: environment, signal },
  );
}

/** The index did not answer: that says nothing about the lock. */
export class IndexUnreachable extends Error {}

/**
 * What a Python of this version would install, without installing it. Rejects when there is no solution, such as when a
 * pinned version is not for this Python.
 * @param {Lock} lock
 * @param {string} python
 * @returns {Promise<string[]>} `name==version` of each package
 */
export async function resolveLock({ name, base, fromSource = [] }, python) {
  const parts = [...(base === undefined ? [] : [base]), name];
  const wheels = new Set(parts.flatMap(readPins).map(nameOf));
  fromSource.forEach((other) => wheels.delete(other));
  const args = [
    ...[...common, "--no-header", "--python-version", python],
    ...[...wheels].flatMap((other) => ["--only-binary", other]),
    ...parts.map(pinned),
  ];
  const { code, stdout, tail } = await capture(uv, args, { what: "uv", timeoutMs, env: environment });
  if (code === 0) return pinsOf(stdout);
  const said = tail.join("\n");
  const text = `${name}.txt on Python ${python}:\n${said}`;
  throw /error sending request|failed to fetch|connect|timed? ?out|dns/i.test(said)
    ? new IndexUnreachable(text)
    : new Error(text);
}
