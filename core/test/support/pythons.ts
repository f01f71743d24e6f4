/** Interpreters for tests of functions. */
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { PYTHONS, canIsolate } from "../hosts";

/** One with NumPy, pandas, matplotlib and scikit-learn, which hosts with `pythons` see too. */
export const SCIENCE =
  process.env["LAZYCLUSTER_TEST_PYTHON"] ?? join(__dirname, "..", "..", "..", ".venv", "bin", "python");

/** An interpreter of this minor version, as hosts with `pythons` see it; null where there is none. */
export function pythonOf(minor: number): string | null {
  const inPath = ["/usr/local/bin", "/usr/bin"]
    .map((dir) => `${dir}/python3.${minor}`)
    .find((path) => existsSync(path));
  if (inPath !== undefined) return inPath;
  const versions = join(homedir(), ".pyenv", "versions");
  if (!canIsolate() || !existsSync(versions)) return null;
  const version = readdirSync(versions).find((name) => name.startsWith(`3.${minor}.`));
  return version === undefined ? null : `${PYTHONS}/${version}/bin/python3`;
}
