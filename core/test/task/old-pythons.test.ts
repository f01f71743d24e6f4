/** Python 3.6 and 3.7, which old distributions come with: all of a host but pickles and arrays. */
import { createServer } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHosts, startHosts, unless } from "../hosts";
import {
  Runtime,
  RuntimeTask,
  type Workspace,
  eventually,
  ndarray,
  py,
  pythonOf,
  rejection,
  workspace,
} from "../support";

let hosts: TestHosts;
let space: Workspace;

beforeAll(async () => {
  hosts = await startHosts({ pythons: true });
  space = workspace(hosts.configFile);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

const nothingRuns = (): Promise<unknown> =>
  eventually(async () => expect(await hosts.hosts[0]!.processes()).toEqual([]), 2000);

describe.each([6, 7])("Python 3.%i", (minor) => {
  const python = pythonOf(minor);
  const needsIt = unless(python === null && `Python 3.${String(minor)} is not on this machine`);
  const use = <T>(fn: (runtime: InstanceType<typeof Runtime>) => Promise<T>): Promise<T> =>
    new Runtime("host-1", { python: python ?? "" }).use(fn);

  it("facts, and a session that keeps its variables", needsIt, async () => {
    await use(async (runtime) => {
      expect(await runtime.cpuCores).toBeGreaterThan(0);
      const session = runtime.session("kept");
      await session.run("x = 41");
      const task = await session.run("print(x + 1)\nx + 2");
      expect(task.executionLog).toEqual(["42\n"]);
      expect(await task.returns()).toEqual([43]);
      await session.close();
    });
    await nothingRuns();
  });

  it("a coroutine, and processes that a function starts", needsIt, async () => {
    await use(async (runtime) => {
      const work = py`
      import asyncio, multiprocessing
      def square(x):
          return x * x
      async def wait():
          await asyncio.sleep(0)
          return 5
      def work():
          with multiprocessing.get_context("fork").Pool(2) as pool:
              return pool.map(square, [1, 2, 3])
      `;
      const task = new RuntimeTask().runFunction(work);
      expect(await (await runtime.executeTask(task)).returns()).toEqual([[1, 4, 9]]);
      const later = py`
      import asyncio
      async def later():
          await asyncio.sleep(0)
          return 5
      `;
      expect(await (await runtime.executeFunction(later)).returns()).toEqual([5]);
    });
  });

  it("a port in each direction", needsIt, async () => {
    const server = createServer((socket) => socket.end("from here")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    try {
      await use(async (runtime) => {
        const there = await runtime.getFreePort([7401, 7402, 7403]);
        await runtime.exposePortToRuntime(port, there, { anyUser: false });
        const task = await runtime.executeTask(
          new RuntimeTask().runCommand(`bash -c 'exec 3<>/dev/tcp/127.0.0.1/${String(there)}; cat <&3'`),
        );
        expect(task.executionLog).toEqual(["from here"]);
      });
    } finally {
      server.close();
    }
  });

  it("a detached task", needsIt, async () => {
    await use(async (runtime) => {
      const execution = runtime.executeTask(new RuntimeTask().runCommand("sleep 0.2; echo done"), { detach: true });
      await execution.detached();
      expect((await execution).executionLog).toEqual(["done\n"]);
    });
    await nothingRuns();
  });

  it("what needs a newer one says so", needsIt, async () => {
    await use(async (runtime) => {
      const object = py`
      def make():
          return object()
      `;
      const needs = /need Python 3\.8 or newer, and this is Python 3\.\d\. Name a newer interpreter/;
      expect(((await rejection(runtime.executeFunction(object))) as Error).message).toMatch(needs);
      const give = py`
      def give(x):
          return x
      `;
      const array = runtime.executeFunction(give, { x: ndarray(Float64Array.of(1, 2)) });
      expect(((await rejection(array)) as Error).message).toMatch(needs);
    });
  });
});
