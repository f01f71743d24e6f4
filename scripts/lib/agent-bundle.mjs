/**
 * The host agent as one file. Nothing is installed on a host: the manager sends this file when it connects, and a
 * one-line Python program decompresses and runs it.
 *
 * It is Python source of two lines, compressed by zlib: `SOURCES = {module name: source}`, and one that runs the module
 * `boot`, which makes the others importable. (python-shim/bundle.py writes the same, where there is no Node.)
 */
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { inProject } from "./paths.mjs";

const agentDirectory = inProject("python-shim", "src", "lazycluster_agent");
const outputDirectory = inProject("core", "dist", "agent");
const bootstrapName = "bootstrap.sh";
const runLine = 'exec(compile(SOURCES["boot"], "<lazycluster_agent/boot.py>", "exec"))';

/** What the bundle is made from; a change of any of it makes a new bundle. */
export const agentSources = agentDirectory;

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

/** @param {string} name */
function readAgentFile(name) {
  const file = path.join(agentDirectory, name);
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    throw new Error(`The host agent is incomplete: ${path.relative(inProject(), file)} cannot be read.`, {
      cause: error,
    });
  }
}

export function writeAgentBundle() {
  const bootstrap = readAgentFile(bootstrapName);
  readAgentFile("boot.py");
  // Sorted, so that equal sources give an equal bundle on every machine.
  const modules = fs
    .readdirSync(agentDirectory)
    .filter((name) => name.endsWith(".py"))
    .sort()
    .map((name) => `${pythonLiteral(name.slice(0, -".py".length))}: ${pythonLiteral(readAgentFile(name))}`);

  fs.mkdirSync(outputDirectory, { recursive: true });
  const bundle = zlib.deflateSync(`SOURCES = {${modules.join(", ")}}\n${runLine}\n`, { level: 9 });
  writeWhole(path.join(outputDirectory, "agent.bin"), bundle);
  writeWhole(path.join(outputDirectory, bootstrapName), bootstrap);
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
