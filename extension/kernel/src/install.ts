import { mkdirSync, readFileSync, renameSync, writeFileSync } from "fs";
import { join } from "path";

export const kernelName = "lazycluster";

/**
 * Registers the kernel for the Jupyter of a prefix, such as a virtual environment. It is started by the Node that runs
 * this, by absolute paths: a Jupyter server may have another PATH. Gives the kernelspec's directory.
 */
export function installKernelspec(prefix: string): string {
  const directory = join(prefix, "share", "jupyter", "kernels", kernelName);
  const file = join(directory, "kernel.json");
  const spec = {
    argv: [process.execPath, join(__dirname, "main.js"), "--config-path", "{connection_file}"],
    display_name: "TypeScript (lazycluster)",
    language: "typescript",
    interrupt_mode: "message",
  };
  const text = `${JSON.stringify(spec, null, 2)}\n`;
  if (text === readOrNull(file)) return directory;
  mkdirSync(directory, { recursive: true });
  // By a rename, for a running server may be reading it.
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, file);
  return directory;
}

function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}
