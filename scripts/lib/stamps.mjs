/** Stamps: a step whose inputs have not changed since it last succeeded is not done again. */
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";

/**
 * A hash over names and contents of files and folders. What does not exist counts as such, so that its appearance changes the hash.
 * @param {readonly string[]} paths
 * @param {(name: string) => boolean} [wanted] which names below a folder count
 */
export function hashOf(paths, wanted = () => true) {
  const hash = crypto.createHash("sha256");
  /** @param {string} file */
  const add = (file) => {
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (stat?.isDirectory()) {
      const names = fs.readdirSync(file).filter(wanted).sort();
      for (const name of names) add(path.join(file, name));
      return;
    }
    hash.update(`${file}\0${stat === undefined ? "absent" : stat.size}\0`);
    if (stat !== undefined) hash.update(fs.readFileSync(file));
  };
  paths.forEach(add);
  return hash.digest("hex");
}

/**
 * @param {string} file
 * @param {string} value
 */
export function isStamped(file, value) {
  try {
    return fs.readFileSync(file, "utf8") === value;
  } catch {
    return false;
  }
}

/**
 * @param {string} file
 * @param {string} value
 */
export function stamp(file, value) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, value);
}
