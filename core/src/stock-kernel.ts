import { createRequire } from "module";

/**
 * Makes a stock tslab kernel what the kernel "TypeScript (lazycluster)" is, from the next cell on: `%lazycluster` cells, rich output,
 * errors, interrupts. In that kernel itself it has nothing to do.
 *
 * @throws LazyclusterError outside a tslab kernel, and in another version of tslab than the one that it knows.
 * @example
 * ```ts
 * import * as lc from "lazycluster";
 * lc.enableTslab();
 * ```
 */
export function enableTslab(): void {
  // Only who needs it pays for it.
  (createRequire(__filename)("./cli/notebook/enable.js") as { enable(): void }).enable();
}
