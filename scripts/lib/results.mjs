/** How results are counted, from what the tools report. */
import fs from "node:fs";
import { say } from "./progress.mjs";

/** @typedef {import("./processes.mjs").RunResult} RunResult */

/**
 * @typedef {object} Result
 * @property {number} passed
 * @property {number} failed
 * @property {Skipped[]} skipped
 */

/** @typedef {{ name: string, reason: string }} Skipped */

/** @returns {Result} */
export const nothing = () => ({ passed: 0, failed: 0, skipped: [] });

/** @param {readonly Result[]} results */
export const sum = (results) =>
  results.reduce(
    (total, { passed, failed, skipped }) => ({
      passed: total.passed + passed,
      failed: total.failed + failed,
      skipped: [...total.skipped, ...skipped],
    }),
    nothing(),
  );

/**
 * A run that failed without a failed test (it crashed, or took too long) counts as one.
 * @param {Result} result
 * @param {RunResult} run
 * @returns {Result}
 */
export const withCrash = (result, { code }) => (code !== 0 && result.failed === 0 ? { ...result, failed: 1 } : result);

/**
 * @param {string} file
 * @returns {string | undefined}
 */
export function readReport(file) {
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined;
}

/**
 * A test that was not run and does not say why counts as failed: else those of a suite that could not begin would vanish.
 * @param {string | undefined} text of our reporter of vitest
 */
export function countVitest(text) {
  if (text === undefined) return nothing();
  /** @type {import("./vitest-reporter.mjs").VitestReport} */
  const { tests, broken } = JSON.parse(text);
  const results = nothing();
  results.failed = broken.length;
  for (const name of broken) say(`  ✗ ${name} could not be loaded`);
  for (const { name, state, why } of tests) {
    if (state === "passed") results.passed++;
    else if (state === "skipped" && why !== undefined) results.skipped.push({ name, reason: why });
    else results.failed++;
    if (state === "skipped" && why === undefined) say(`  ✗ not run, without a reason: ${name}`);
  }
  return results;
}

/** @param {string | undefined} text of pytest's junit report */
export function countJunit(text) {
  const results = nothing();
  const cases = (text ?? "").matchAll(/<testcase\b([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs);
  for (const [, attributes = "", content = ""] of cases) {
    const skipped = /<skipped\b([^>]*)>/.exec(content)?.[1];
    if (/<(failure|error)\b/.test(content)) results.failed++;
    else if (skipped === undefined) results.passed++;
    else results.skipped.push({ name: xmlAttribute(attributes, "name"), reason: xmlAttribute(skipped, "message") });
  }
  return results;
}

/**
 * @param {string} attributes
 * @param {string} name
 */
function xmlAttribute(attributes, name) {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
  const entities = /** @type {Record<string, string>} */ ({
    quot: '"',
    apos: "'",
    lt: "<",
    gt: ">",
    amp: "&",
    "#10": " ",
  });
  return value.replace(/&(#?\w+);/g, (entity, key) => entities[key] ?? entity);
}
