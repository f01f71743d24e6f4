/** What to do when pip fails: it depends on why, and pip's last lines tell. */
import { stripVTControlCharacters } from "node:util";
import { promisedPythons } from "./locks.mjs";

const again = "then run the same command again.";

/**
 * The first that fits counts.
 * @type {readonly [RegExp, (python: string, found: string) => string][]}
 */
const causes = [
  [/No space left on device/, () => `The disk is full: make room, ${again}`],
  [
    // pip also says "no matching distribution" where it reached nobody.
    /NewConnectionError|ConnectTimeout|ReadTimeout|ConnectionResetError|ProxyError|SSLError|Failed to establish a new connection|HTTP error 5\d\d/,
    () =>
      `The Python package index was not reached. Check the network, and pip's proxy, certificate and index-url (\`.venv/bin/pip config list\`), ${again}`,
  ],
  [
    /Failed building wheel for (\S+)|subprocess-exited-with-error|metadata-generation-failed/,
    (python) =>
      `There is no ready-made package for Python ${python} on this machine (${process.arch}), and compiling one failed. ${another()}`,
  ],
  [
    /No matching distribution found for (\S+)|Package '(\S+)' requires a different Python/,
    (python, name) =>
      `The package index has no ${name} for Python ${python} on this machine (${process.arch}). Where pip asks an index of your own (\`.venv/bin/pip config list\`), it may not have it. Otherwise: ${another()}`,
  ],
];

const another = () =>
  `remove .venv, put another Python from ${minor(promisedPythons[0])} to ${minor(promisedPythons.at(-1))} on your PATH, ${again}`;

const minor = (/** @type {string | undefined} */ version) => version?.split(".").slice(0, 2).join(".") ?? "";

/**
 * @param {readonly string[]} tail what pip printed last
 * @param {string} python the version that it runs with
 */
export function whatNext(tail, python) {
  // pip colours what it says where FORCE_COLOR is set, a pipe or not.
  const said = stripVTControlCharacters(tail.join("\n"));
  for (const [pattern, advice] of causes) {
    const match = pattern.exec(said);
    if (match !== null) return advice(python, match[1] ?? match[2] ?? "");
  }
  return `What pip printed says why. Mend that, ${again}`;
}
