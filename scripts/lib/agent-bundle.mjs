/**
 * The host agent as one file. Nothing is installed on a host: the manager sends this file when it connects, and a
 * one-line Python program decompresses and runs it. python-shim/bundle.py makes it, and says what is in it.
 * cloudpickle is part of it, as it is installed in .venv.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { readPins } from "./locks.mjs";
import { inProject, venvDirectory, venvPython } from "./paths.mjs";

const agentDirectory = inProject("python-shim", "src", "lazycluster_agent");
const bundler = inProject("python-shim", "bundle.py");
const outputDirectory = inProject("core", "dist", "agent");
const bootstrapName = "bootstrap.sh";

const borrowed = "cloudpickle";
const licenceName = `${borrowed}-LICENSE`;

/** What the build writes. */
export const agentOutputs = ["agent.bin", bootstrapName, licenceName].map((name) => `core/dist/agent/${name}`);

/** What the bundle is made from; a change of any of it makes a new bundle. */
export function agentSources() {
  const { packageDirectory, licence } = findBorrowed();
  const makers = [bundler, inProject("python-shim", "strip.py"), inProject("scripts", "lib", "agent-bundle.mjs")];
  return [agentDirectory, packageDirectory, licence, ...makers];
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

export function writeAgentBundle() {
  const { licence } = findBorrowed();
  const bootstrap = readText(path.join(agentDirectory, bootstrapName));
  fs.mkdirSync(outputDirectory, { recursive: true });
  writeWhole(path.join(outputDirectory, "agent.bin"), makeBundle());
  writeWhole(path.join(outputDirectory, bootstrapName), bootstrap);
  writeWhole(path.join(outputDirectory, licenceName), readText(licence));
}

function makeBundle() {
  const made = spawnSync(venvPython, ["-E", "-s", "-B", bundler], { maxBuffer: 1 << 24 });
  if (made.status === 0) return made.stdout;
  const why = made.error?.message ?? made.stderr.toString().trim();
  throw new Error(`The host agent cannot be made by ${path.relative(inProject(), bundler)}: ${why}`);
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
