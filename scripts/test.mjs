/**
 * `npm test`: the same set-up as `npm start`, then every suite. `npm test -- core python` runs only some.
 * The last line is `N passed, N failed`, and `, N skipped` where some were.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { provideChromium } from "./lib/chromium.mjs";
import { formatSeconds, say } from "./lib/progress.mjs";
import { sum } from "./lib/results.mjs";
import { runScript } from "./lib/script.mjs";
import { setUp } from "./lib/setup.mjs";
import { suites } from "./lib/suites.mjs";

/** @typedef {import("./lib/results.mjs").Result} Result */
/** @typedef {import("./lib/results.mjs").Skipped} Skipped */

const { positionals: wanted, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    // For the suite `user`, which is another run of this script in the same checkout.
    "no-set-up": { type: "boolean", default: false },
    report: { type: "string" },
    "core-tests": { type: "string", multiple: true, default: [] },
  },
});

await runScript(async (lifetime) => {
  const unknown = wanted.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    throw new Error(`There is no suite ${unknown.join(", ")}; there are ${suites.map(({ name }) => name).join(", ")}.`);
  }
  const chosen = suites.filter((suite) => wanted.length === 0 || wanted.includes(suite.name));
  const { sshd } = options["no-set-up"] ? { sshd: true } : await setUp(lifetime, { development: true });
  const chromium = chosen.some(({ name }) => name === "ui") ? await provideChromium(lifetime) : undefined;
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "lazycluster-test-"));
  lifetime.add(() => fs.rmSync(root, { recursive: true, force: true }));

  /** @type {{ name: string, took: string, result: Result }[]} */
  const rows = [];
  for (const { name, run } of chosen) {
    say(`\n── ${name}`);
    const begin = Date.now();
    const scratch = path.join(root, name);
    fs.mkdirSync(scratch);
    /** @type {Result} */
    let result;
    try {
      result = await run({ lifetime, scratch, sshd, chromium, coreTests: options["core-tests"] });
    } catch (error) {
      lifetime.throwIfStopped();
      say(`  ✗ ${error instanceof Error ? error.message : String(error)}`);
      result = { passed: 0, failed: 1, skipped: [] };
    }
    rows.push({ name, took: formatSeconds(Date.now() - begin), result });
  }
  await lifetime.end();

  const total = sum(rows.map(({ result }) => result));
  say("\n── results");
  for (const line of describeSkipped(total.skipped)) say(`  ${line}`);
  for (const { name, took, result } of rows) say(`  ${name.padEnd(10)} ${took.padStart(7)}   ${describe(result)}`);
  say();
  say(describe(total));
  if (options.report !== undefined) fs.writeFileSync(options.report, JSON.stringify(total));
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});

/** @param {Result} result */
function describe({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`;
}

/**
 * One line for each reason, with the names.
 * @param {readonly Skipped[]} skipped
 */
function describeSkipped(skipped) {
  const reasons = [...new Set(skipped.map(({ reason }) => reason))];
  return reasons.map((reason) => {
    const names = skipped.filter((other) => other.reason === reason).map(({ name }) => name);
    return `${names.length} skipped (${reason}): ${names.join(", ")}`;
  });
}
