/** Which Python the bridge is. */
import { accessSync, constants } from "fs";
import { dirname, join } from "path";

/** `LAZYCLUSTER_PYTHON`, else the `.venv` of the working directory or of one above it, else `python3`. */
export function bridgePython(): string {
  const named = process.env["LAZYCLUSTER_PYTHON"];
  if (named) return named;
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    const python = join(folder, ".venv", "bin", "python");
    if (isExecutable(python)) return python;
    if (folder === dirname(folder)) return "python3";
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
