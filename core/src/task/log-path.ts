/** Where an execution's log goes: `<main directory>/execution_log/<host>/<task name><timestamp>.log`. */
import { randomBytes } from "crypto";
import { join, relative } from "path";

/** [bytes] of a name; file systems take 255, and the timestamp and suffixes need some. */
const LONGEST = 180;

/** Different at each call, so that two logs never collide. */
export function logPath(mainDirectory: string, host: string, task: string, time: Date): string {
  const stamp = time.toISOString().replace(/[-:]/g, "").replace("T", "_").replace("Z", "");
  const file = `${fileName(task)}_${stamp}_${randomBytes(3).toString("hex")}.log`;
  return join(mainDirectory, "execution_log", fileName(host), file);
}

/** Any text as one harmless file name: letters, digits and `_ @ + = , -` and inner dots stay, the rest is %-encoded. */
export function fileName(text: string): string {
  const encoded = Array.from(Buffer.from(text, "utf8"), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_@+=,.-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
  // Neither hidden, nor `..`, nor an option.
  const safe = encoded.replace(/^[.-]/, (first) => `%${first.charCodeAt(0).toString(16).toUpperCase()}`);
  return safe.length > LONGEST ? `${safe.slice(0, LONGEST)}~` : safe;
}

/** As people read it best: from the current directory, where it lies below that. */
export function shortPath(path: string): string {
  const short = relative("", path);
  return short.startsWith("..") ? path : short;
}
