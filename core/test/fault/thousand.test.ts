/** A thousand calls at once on one host. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHosts, startHosts } from "../hosts";
import { Runtime, RuntimeTask, type RuntimeType, type Workspace, expectCleanHost, py, workspace } from "../support";

const MANY = 1000;
/** [ms] For all of them, on a busy machine. */
const PATIENCE = 240_000;
const NUMBERS = Array.from({ length: MANY }, (_, number) => number);

let hosts: TestHosts;
let space: Workspace;
let runtime: RuntimeType;

beforeAll(async () => {
  hosts = await startHosts({ count: 1 });
  space = workspace(hosts.configFile);
});
beforeEach(() => (runtime = new Runtime("host-1")));
afterEach(async () => {
  await runtime.close();
  await expectCleanHost(hosts.hosts[0]!, 4000);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

describe("a thousand at once", () => {
  it(
    "functions all give their value, and nothing of them is left",
    async () => {
      const double = py`
def double(x):
    return 2 * x
`;
      const executions = NUMBERS.map((number) => runtime.executeFunction(double, { x: number }));
      const tasks = await Promise.all(executions);
      expect(await Promise.all(tasks.map((task) => task.returns()))).toEqual(NUMBERS.map((number) => [2 * number]));
      expect(runtime.aliveProcessCount).toBe(0);
    },
    PATIENCE,
  );

  it(
    "commands all give their output",
    async () => {
      const tasks = NUMBERS.map((number) => new RuntimeTask(`task ${number}`).runCommand(`echo ${number}`));
      const results = await Promise.all(tasks.map((task) => runtime.executeTask(task)));
      expect(results).toHaveLength(MANY);
      expect(tasks.map((task) => task.executionLog)).toEqual(NUMBERS.map((number) => [`${number}\n`]));
    },
    PATIENCE,
  );
});
