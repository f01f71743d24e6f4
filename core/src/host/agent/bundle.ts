import { readFileSync } from "fs";
import { join } from "path";

/** What the build made of python-shim: see bundle.py there. */
const FOLDER = join(__dirname, "..", "..", "agent");

let worker: Buffer | null = null;

/** The program that runs JavaScript functions on a host, compressed (core/src/js-worker). Read once. */
export function jsWorker(): Buffer {
  worker ??= readFileSync(join(FOLDER, "js-worker.bin"));
  return worker;
}

let cached: { readonly command: string; readonly bundle: Buffer } | null = null;

/** The constant shell line that starts the agent, and the compressed source that it reads. Read once. */
export function agentBundle(): { readonly command: string; readonly bundle: Buffer } {
  cached ??= {
    command: readFileSync(join(FOLDER, "bootstrap.sh"), "utf8").trim(),
    bundle: readFileSync(join(FOLDER, "agent.bin")),
  };
  return cached;
}
