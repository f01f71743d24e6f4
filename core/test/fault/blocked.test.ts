/** A cell that blocks JavaScript: the engine's thread goes on without it. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type TestHosts, startHosts } from "../hosts";
import { type Workspace, agentAndKeeper, eventually, expectCleanHost, startManager, workspace } from "../support";

const LONG = process.env["LAZYCLUSTER_LONG_TESTS"] === "1";
/** Five times the lease: a heartbeat that stopped would have ended everything. */
const { blockMs, options } = LONG
  ? { blockMs: 90_000, options: {} }
  : { blockMs: 15_000, options: { leaseMs: 3000, connection: { keepaliveIntervalMs: 1000 } } };
const TICK_S = 0.02;
const STEPS = 10;

let hosts: TestHosts;
let space: Workspace;

beforeAll(async () => {
  hosts = await startHosts();
  space = workspace(hosts.configFile);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

it(
  "a cell that blocks JavaScript loses no task, no heartbeat, no log line",
  { timeout: blockMs + 60_000 },
  async () => {
    const host = hosts.hosts[0]!;
    const ticks = Math.round((blockMs - 3000) / 1000 / TICK_S);
    const script = startManager(
      `
      const runtime = new Runtime("host-1", input.options);
      const ticker = new RuntimeTask("ticker").runCommand("python3 -uc 'import time\\nfor i in range(" + input.ticks + "): print(i); time.sleep(${TICK_S})'");
      const stairs = new RuntimeTask("stairs");
      for (let step = 0; step < ${STEPS}; step++) stairs.runCommand("echo step " + step + "; sleep " + (input.blockMs - 4000) / 1000 / ${STEPS});
      const slow = py\`
      def slow(seconds):
          import time
          time.sleep(seconds)
          return "woke"
      \`;
      const value = new RuntimeTask("value").runFunction(slow, { seconds: input.blockMs / 1000 - 4 });
      const executions = [ticker, stairs, value].map((task) => runtime.executeTask(task));
      await new Promise((resolve) => ticker.on("output", resolve));
      say("blocking");
      const end = Date.now() + input.blockMs;
      while (Date.now() < end);
      const blockedUntil = Date.now();
      await Promise.all(executions);
      const late = new RuntimeTask("late").runCommand("echo late");
      await runtime.executeTask(late);
      say("done", {
        blockedUntil,
        states: [ticker, stairs, value, late].map((task) => task.state),
        ticks: ticker.executionLog[0],
        stairs: stairs.executionLog,
        values: await value.returns(),
      });
      await runtime.close();
      `,
      { env: space.env, input: { options, blockMs, ticks } },
    );
    await script.hear("blocking");
    const start = Date.now();
    const before = await agentAndKeeper(host);
    // The log grows on disk while the manager's own thread is busy.
    const logs = join(space.dir, "main", "execution_log", "host-1");
    const log = join(
      logs,
      readdirSync(logs).find((name) => /^ticker.*\.log$/.test(name))!,
    );
    const lines = (): number => readFileSync(log, "utf8").split("\n").length;
    for (let part = 1; part <= 4; part++) {
      const wanted = Math.floor((ticks * part) / 5);
      await eventually(() => lines() > wanted, blockMs, `line ${wanted} in the log`);
    }
    expect(Date.now() - start).toBeLessThan(blockMs);
    expect(await agentAndKeeper(host)).toEqual(before);

    const done = await script.hear<{
      blockedUntil: number;
      states: string[];
      ticks: string;
      stairs: string[];
      values: unknown[];
    }>("done", blockMs + 10_000);
    expect(done.states).toEqual(["done", "done", "done", "done"]);
    expect(done.ticks).toBe(Array.from({ length: ticks }, (_, index) => `${index}\n`).join(""));
    expect(done.stairs).toEqual(Array.from({ length: STEPS }, (_, index) => `step ${index}\n`));
    expect(done.values).toEqual(["woke"]);
    // Each step of the stairs was started by the engine while JavaScript was blocked.
    const stairs = join(
      logs,
      readdirSync(logs).find((name) => /^stairs.*\.index$/.test(name))!,
    );
    const times = readFileSync(stairs, "utf8")
      .trim()
      .split("\n")
      .filter((line) => /^\d/.test(line))
      .map((line) => Number(line.split(" ")[4]));
    expect(times).toHaveLength(STEPS);
    for (const time of times) expect(time).toBeLessThan(done.blockedUntil);
    expect((await script.exited).code).toBe(0);
    expect(existsSync(log)).toBe(true);
    await expectCleanHost(host, 2000);
  },
);
