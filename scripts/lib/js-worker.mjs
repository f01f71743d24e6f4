/**
 * The program that runs JavaScript functions on a host, as one compressed file. It is sent with the first such function of a
 * connection, and holds the wire format and the values of core, so that both ends read and write the same.
 */
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { writeWhole } from "./agent-bundle.mjs";
import { inProject } from "./paths.mjs";

/** The oldest Node.js that a host may have. */
const target = "node18";
const output = inProject("core", "dist", "agent", "js-worker.bin");

export async function writeJsWorker() {
  // Only now it is there: the starter itself runs before the packages are installed.
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [inProject("core", "src", "js-worker", "main.ts")],
    tsconfig: inProject("core", "tsconfig.json"),
    bundle: true,
    platform: "node",
    format: "cjs",
    target,
    minify: true,
    // By this name stacks leave its frames out.
    footer: { js: "//# sourceURL=lazycluster-worker.js" },
    write: false,
    logLevel: "error",
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error("The build of the program for JavaScript functions gave no file.");
  fs.mkdirSync(path.dirname(output), { recursive: true });
  writeWhole(output, zlib.deflateSync(file.contents, { level: 9 }));
}
