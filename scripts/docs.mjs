/** `npm run docs [-- --check]`: docs/api from the TSDoc; with --check it only says whether they are current. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { inProject, projectRoot } from "./lib/paths.mjs";
import { run } from "./lib/processes.mjs";
import { runScript } from "./lib/script.mjs";

const pages = inProject("docs", "api");

await runScript(async (lifetime) => {
  const check = process.argv.includes("--check");
  const out = check ? fs.mkdtempSync(path.join(os.tmpdir(), "lazycluster-docs-")) : pages;
  try {
    await run(process.execPath, [inProject("node_modules", "typedoc", "bin", "typedoc"), "--out", out], {
      what: "typedoc",
      timeoutMs: 2 * 60_000,
      cwd: projectRoot,
      signal: lifetime.signal,
    });
    if (!check) return 0;
    const stale = differing(pages, out);
    for (const name of stale) console.log(`docs/api/${name} is not current.`);
    if (stale.length > 0) console.log("npm run docs writes them anew.");
    return stale.length > 0 ? 1 : 0;
  } finally {
    if (check) fs.rmSync(out, { recursive: true, force: true });
  }
});

/**
 * Names of the files that are not the same in both folders.
 * @param {string} ours
 * @param {string} theirs
 */
function differing(ours, theirs) {
  const names = new Set([ours, theirs].flatMap(filesIn));
  return [...names].sort().filter((name) => read(ours, name) !== read(theirs, name));
}

/** @param {string} folder */
function filesIn(folder) {
  if (!fs.existsSync(folder)) return [];
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
}

/**
 * @param {string} folder
 * @param {string} name
 */
function read(folder, name) {
  const file = path.join(folder, name);
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : null;
}
