/**
 * The host agent as one file. Nothing is installed on a host: the manager sends this file when it connects, and a
 * one-line Python program decompresses and runs it.
 *
 * It is Python source of two lines, compressed by zlib: `SOURCES = {module name: source}`, and one that runs the module
 * `boot`, which makes the others importable. (python-shim/bundle.py writes the same, where there is no Node.)
 * cloudpickle is part of it, as it is installed in .venv; its modules are named `cloudpickle/…`.
 */
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { readPins } from "./locks.mjs";
import { inProject, venvDirectory } from "./paths.mjs";

const agentDirectory = inProject("python-shim", "src", "lazycluster_agent");
const outputDirectory = inProject("core", "dist", "agent");
const bootstrapName = "bootstrap.sh";
const runLine = 'exec(compile(SOURCES["boot"], "<lazycluster_agent/boot.py>", "exec"))';

const borrowed = "cloudpickle";
const licenceName = `${borrowed}-LICENSE`;

/** What the build writes. */
export const agentOutputs = ["agent.bin", bootstrapName, licenceName].map((name) => `core/dist/agent/${name}`);

/** What the bundle is made from; a change of any of it makes a new bundle. */
export function agentSources() {
  const { packageDirectory, licence } = findBorrowed();
  return [agentDirectory, packageDirectory, licence, inProject("scripts", "lib", "agent-bundle.mjs")];
}

/** `cloudpickle==version`, as it is pinned. */
export function borrowedPin() {
  const pin = readPins("scripts/requirements").find((other) => other.startsWith(`${borrowed}==`));
  if (pin === undefined) throw new Error(`scripts/requirements.txt does not pin ${borrowed}.`);
  return pin;
}

/** Whether .venv has it. */
export const hasBorrowed = () => lookForBorrowed() !== undefined;

/** The package in .venv, of exactly the version that is pinned. */
function lookForBorrowed() {
  const version = borrowedPin().slice(`${borrowed}==`.length);
  const library = path.join(venvDirectory, "lib");
  const pythons = fs.existsSync(library) ? fs.readdirSync(library) : [];
  for (const python of pythons) {
    const site = path.join(library, python, "site-packages");
    const metadata = path.join(site, `${borrowed}-${version}.dist-info`);
    const licence = [path.join(metadata, "licenses", "LICENSE"), path.join(metadata, "LICENSE")].find((file) =>
      fs.existsSync(file),
    );
    if (licence !== undefined) return { packageDirectory: path.join(site, borrowed), licence };
  }
  return undefined;
}

function findBorrowed() {
  const found = lookForBorrowed();
  if (found === undefined) {
    throw new Error(`${borrowedPin()} is not in .venv, and it is a part of the host agent. Run npm run build.`);
  }
  return found;
}

/**
 * A Python string literal in ASCII, so that the host's locale cannot change its meaning. JSON's escapes are Python's
 * too, but for characters beyond the basic plane, where JSON has two escapes for what is one character in Python.
 * @param {string} text
 */
function pythonLiteral(text) {
  return JSON.stringify(text).replace(/[^\x20-\x7e]/gu, (character) => {
    const codePoint = character.codePointAt(0) ?? 0;
    return codePoint > 0xffff
      ? `\\U${codePoint.toString(16).padStart(8, "0")}`
      : `\\u${codePoint.toString(16).padStart(4, "0")}`;
  });
}

/** @param {string} file */
function readText(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    throw new Error(`The host agent is incomplete: ${path.relative(inProject(), file)} cannot be read.`, {
      cause: error,
    });
  }
}

/**
 * The modules of a folder and of those in it: name and text.
 * @param {string} directory
 * @param {string} prefix
 * @returns {[string, string][]}
 */
function readModules(directory, prefix = "") {
  return fs.readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const place = path.join(directory, entry.name);
    if (entry.isDirectory()) return readModules(place, `${prefix}${entry.name}/`);
    return entry.name.endsWith(".py") ? [[prefix + entry.name.slice(0, -".py".length), readText(place)]] : [];
  });
}

export function writeAgentBundle() {
  const { packageDirectory, licence } = findBorrowed();
  const bootstrap = readText(path.join(agentDirectory, bootstrapName));
  readText(path.join(agentDirectory, "boot.py"));
  // Sorted, so that equal sources give an equal bundle on every machine.
  // An `__init__` of ours says what its folder is for, and no more.
  const ours = readModules(agentDirectory).filter(([name]) => path.basename(name) !== "__init__");
  const modules = [...ours, ...readModules(packageDirectory, `${borrowed}/`)]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, text]) => `${pythonLiteral(name)}: ${pythonLiteral(text)}`);

  fs.mkdirSync(outputDirectory, { recursive: true });
  const bundle = zlib.deflateSync(`SOURCES = {${modules.join(", ")}}\n${runLine}\n`, { level: 9 });
  writeWhole(path.join(outputDirectory, "agent.bin"), bundle);
  writeWhole(path.join(outputDirectory, bootstrapName), bootstrap);
  writeWhole(path.join(outputDirectory, licenceName), readText(licence));
}

/**
 * By a rename, for an engine may be reading the file.
 * @param {string} file
 * @param {string | Buffer} content
 */
export function writeWhole(file, content) {
  const temporary = `${file}.${process.pid}`;
  fs.writeFileSync(temporary, content);
  fs.renameSync(temporary, file);
}
