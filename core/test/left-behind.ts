/**
 * A run of the tests leaves nothing behind. It gets a temporary folder of its own, in which nothing may be at the end, and
 * which no process that is left may have to do with. What is, is named, and the run has failed.
 */
import { chmodSync, mkdtempSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "./hosts/claim";
import { eventually } from "./support/eventually";

/** [ms] that what was told to end may take. */
const ENDING_MS = 10_000;

export default function setup(): () => Promise<void> {
  const outside = tmpdir();
  // For each project of the run again, and paths of sockets are short.
  if (process.env["LAZYCLUSTER_TEST_TMP"] === outside) return () => Promise.resolve();
  const folder = mkdtempSync(join(outside, "lct-"));
  // Tests as other users have folders of their own in it.
  chmodSync(folder, 0o711);
  // Test hosts of all runs share address ranges.
  process.env["LAZYCLUSTER_TEST_CLAIMS"] ??= outside;
  process.env["TMPDIR"] = process.env["LAZYCLUSTER_TEST_TMP"] = folder;
  return async () => {
    process.env["TMPDIR"] = outside;
    let left: string[] = [];
    try {
      await eventually(() => (left = [...filesIn(folder), ...processesOf(folder)]).length === 0, ENDING_MS);
    } catch {
      throw new Error(`left behind by the tests:\n${left.map((line) => `  ${line}\n`).join("")}`);
    } finally {
      removeTree(folder);
    }
  };
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => `file ${name}`);

/** Those that have the folder in their environment, such as TMPDIR, their arguments, or as working directory. */
function processesOf(folder: string): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const [args, environment] = ["cmdline", "environ"].map((name) => readFileSync(`/proc/${pid}/${name}`, "utf8"));
      const ours = `${args!}\0${environment!}\0${readlinkSync(`/proc/${pid}/cwd`)}`.includes(folder);
      return ours ? [`process ${pid}: ${args!.replaceAll("\0", " ").trim()}`] : [];
    } catch {
      return []; // it has ended, or is somebody else's
    }
  });
}
