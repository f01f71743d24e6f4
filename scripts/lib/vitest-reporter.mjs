/** What a run of vitest came to, as `countVitest` reads it. vitest's own JSON lacks the reasons of skips. */
import fs from "node:fs";

/** Where the report goes. */
export const reportVariable = "LAZYCLUSTER_VITEST_REPORT";

/** @typedef {{ name: string, state: "passed" | "failed" | "skipped", why?: string | undefined, took: number }} VitestTest */
/** @typedef {{ tests: VitestTest[], broken: string[] }} VitestReport */

export default class {
  /** @param {readonly import("vitest/node").TestModule[]} modules */
  onTestRunEnd(modules) {
    /** @type {VitestReport} */
    const report = { tests: [], broken: [] };
    for (const module of modules) {
      // Those of a file that cannot be loaded are not even known.
      if (module.errors().length > 0) report.broken.push(module.relativeModuleId);
      for (const test of module.children.allTests()) {
        const result = test.result();
        const why =
          result.state === "skipped" ? (result.note ?? /** @type {{ why?: string }} */ (test.meta()).why) : undefined;
        const state = result.state === "pending" ? "skipped" : result.state;
        report.tests.push({
          name: `${module.relativeModuleId} > ${test.fullName}`,
          state,
          why,
          took: test.diagnostic()?.duration ?? 0,
        });
      }
    }
    fs.writeFileSync(process.env[reportVariable] ?? "vitest.json", JSON.stringify(report));
  }
}
