/**
 * `npm run lock [-- --upgrade]`: writes the pinned Python packages from the files `….in`. Without --upgrade only what no
 * longer fits changes.
 */
import { parseArgs } from "node:util";
import { locks, writeLock } from "./lib/locks.mjs";
import { step } from "./lib/progress.mjs";
import { runScript } from "./lib/script.mjs";

const { values } = parseArgs({ options: { upgrade: { type: "boolean", default: false } } });

await runScript(async ({ signal }) => {
  for (const lock of locks) await step(`${lock.name}.txt`, () => writeLock(lock, { ...values, signal }));
  return 0;
});
