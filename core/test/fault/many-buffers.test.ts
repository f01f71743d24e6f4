/** A value of very many parts: whatever it costs, the engine goes on with everything else meanwhile. */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type * as TaskLogModule from "../../src/task/task-log";
import { Runtime, RuntimeTask, type Workspace, py, workspace } from "../support";

const { TaskLog } = createRequire(__filename)(
  join(__dirname, "..", "..", "dist", "task", "task-log.js"),
) as typeof TaskLogModule;

const COUNT = 200_000;
/** [ms] */
const LEASE = 10_000;

let space: Workspace;
beforeAll(() => void (space = workspace(null)));
afterAll(() => space.remove());

it(
  "200,000 bytes objects come and go while another host's agent is heard, and its log grows",
  { timeout: 180_000 },
  async () => {
    const gate = space.path("gate");
    const big = new Runtime("localhost");
    // An agent of its own, which ends all it runs when it hears nothing for so long.
    const other = new Runtime("localhost", { leaseMs: LEASE });
    try {
      const ticks = new RuntimeTask("ticks").runCommand(`until [ -e ${gate} ]; do echo tick; sleep 0.05; done`);
      const ticking = other.executeTask(ticks);
      const items = Array.from({ length: COUNT }, (_, index) => Uint8Array.of(index & 255, index >> 16));
      const echo = py`
def echo(items):
    return items[::-1]
`;
      const task = new RuntimeTask("many").runFunction(echo, { items });
      await big.executeTask(task);
      const [back] = (await task.returns()) as [Uint8Array[]];
      writeFileSync(gate, "");
      await ticking;
      expect(back.length).toBe(COUNT);
      const wrong = back.findIndex((bytes, at) => Buffer.compare(bytes, items[COUNT - 1 - at]!) !== 0);
      expect(wrong).toBe(-1);
      // Each is as large as it is: what is done to one is not done to its neighbours.
      expect(back.findIndex((bytes) => bytes.buffer.byteLength !== 2)).toBe(-1);
      // The times are those at which the engine wrote.
      const times = readFileSync(`${ticks.executionLogFilePath}.index`, "latin1").match(/\d+$/gm)!.map(Number);
      const gaps = times.slice(1).map((time, at) => time - times[at]!);
      expect(Math.max(...gaps)).toBeLessThan(LEASE);
    } finally {
      await Promise.all([big.close(), other.close()]);
    }
  },
);

it("a log of 300,000 runs is read whole, at once", () => {
  const file = space.path("log");
  const runs = Array.from({ length: 300_000 }, (_, at) => `0 stdout ${String(at)} 1 1\n`).join("");
  writeFileSync(file, "x".repeat(300_000));
  writeFileSync(`${file}.index`, runs);
  const log = new TaskLog(file);
  expect(log.length).toBe(300_000);
  expect(log.entry(0)).toBe("x".repeat(300_000));
});
