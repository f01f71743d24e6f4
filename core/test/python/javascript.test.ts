/* eslint-disable @typescript-eslint/no-require-imports, @typescript-eslint/unbound-method */
/** JavaScript functions on real hosts: each runs in a Node.js process of the host. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { runInThisContext } from "node:vm";
import { type TestContext, afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHosts, startHosts } from "../hosts";
import {
  InvalidArgumentError,
  type PyHandleType,
  Runtime,
  RuntimeTask,
  type RuntimeType,
  type TaskExecutionErrorType,
  type Workspace,
  dataFrame,
  expectCleanHost,
  jsFunction,
  ndarray,
  py,
  pyFloat,
  rejection,
  workspace,
} from "../support";

type Fn = Parameters<RuntimeType["executeFunction"]>[0];
type Kwargs = Parameters<RuntimeType["executeFunction"]>[1];

let hosts: TestHosts;
let space: Workspace;
let runtime: RuntimeType;
/** Why there is no Node.js on the hosts; null: there is. */
let without: string | null = null;

beforeAll(async () => {
  hosts = await startHosts();
  space = workspace(hosts.configFile);
  runtime = new Runtime("host-1");
  const found = await hosts.hosts[0]!.exec(["sh", "-c", "node --version"]);
  if (!/^v(1[89]|[2-9]\d)/.test(found.stdout)) without = "the host has no Node.js 18 or newer";
});
afterAll(async () => {
  await runtime.close();
  await expectCleanHost(hosts.hosts[0]!, 2000);
  await hosts.stop();
  space.remove();
});

/** Private files of managers. */
function spooled(): string[] {
  const folder = join(space.dir, "state", "spool");
  return existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.includes("/"))
    : [];
}

const needNode = ({ skip }: TestContext): void => {
  if (without !== null) skip(without);
};

async function call(fn: Fn, args: readonly unknown[] = [], kwargs: Kwargs = {}): Promise<unknown> {
  const execution = runtime.executeFunction(fn, kwargs, { args: args as never[] });
  return (await (await execution).returns())[0];
}

async function failure(fn: Fn, options: object = {}): Promise<TaskExecutionErrorType> {
  return (await rejection(runtime.executeFunction(fn, {}, options))) as TaskExecutionErrorType;
}

describe("JavaScript functions on a host", () => {
  it("run there: arrows, async functions, methods, generators, with their variables as context", async (context) => {
    needNode(context);
    const pid = await call(() => process.pid);
    expect(pid).toBeTypeOf("number");
    expect(pid).not.toBe(process.pid);
    const factor = 3;
    expect(
      await call(
        jsFunction((x: number) => x * factor, { context: { factor } }),
        [5],
      ),
    ).toBe(15);
    expect(await call(async (x: number) => Promise.resolve(x + 1), [1])).toBe(2);
    expect(
      await call(
        async function named(x: number) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          return [x, named.name];
        },
        [1],
      ),
    ).toEqual([1, "named"]);
    class Shelf {
      add(x: number) {
        return x + 1;
      }
      async later(x: number) {
        return Promise.resolve(x + 2);
      }
      static up(x: number) {
        return x + 3;
      }
    }
    const shelf = new Shelf();
    expect([await call(shelf.add, [1]), await call(shelf.later, [1]), await call(Shelf.up, [1])]).toEqual([2, 3, 4]);
    const plain = {
      "with a space"(x: number) {
        return x;
      },
    };
    expect(await call(plain["with a space"], [7])).toBe(7);
    expect(await call(({ name }: { name: string }) => `Hello ${name}!`, [], { name: "World" })).toBe("Hello World!");
    expect(await call((a: number, { b }: { b: number }) => [a, b], [1], { b: 2 })).toEqual([1, 2]);
    expect(await call(() => undefined)).toBeNull();
  });

  it("find modules, the working directory and the variables of the step", async (context) => {
    needNode(context);
    // The tests' own compiler would replace the import.
    const fn = runInThisContext(`async () => {
      const { hostname } = await import("node:os");
      const path = require("node:path");
      return [hostname(), path.basename("/a/b"), process.cwd(), process.env["WORKING_DIR"], process.argv.length];
    }`) as () => unknown;
    const seen = await call(fn);
    const dir = await runtime.workingDir;
    expect(seen).toEqual([expect.stringContaining("host-1"), "b", dir, dir, 1]);
  });

  it("take and give the values of the table", async (context) => {
    needNode(context);
    const values = [
      null, true, 2, 2.5, -0, NaN, -Infinity, 2n ** 70n, "é😀", Uint8Array.of(0, 255), new Date(5), [1, [2]],
      new Set([1]), { a: { b: 1 } }, new Map<unknown, unknown>([[1, "a"]]), ndarray(Int16Array.of(1, 2), [1, 2]),
      dataFrame({ n: Float64Array.of(1, 2), t: ["a", null] }),
    ]; // prettier-ignore
    const back = (await call((...all: unknown[]) => all, values)) as unknown[];
    expect(back).toEqual(values);
    expect(Object.is(back[4], -0)).toBe(true);
    expect(await call((x: unknown) => x, [Float64Array.of(1.5)])).toMatchObject({ dtype: "float64", shape: [1] });
    expect(await call((x: unknown) => [typeof x, x], [pyFloat(2)])).toEqual(["number", 2]);
    const made = await call(() => {
      const { ndarray, dataFrame } = require("lazycluster") as typeof import("lazycluster");
      return [ndarray(new Float32Array(4), [2, 2]), dataFrame({ a: [1] })];
    });
    expect(made).toMatchObject([
      { dtype: "float32", shape: [2, 2] },
      { columnNames: ["a"], length: 1 },
    ]);
  });

  it("take and give 10 MB", async (context) => {
    needNode(context);
    const bytes = new Uint8Array(10_000_000).map((_, at) => at % 251);
    const back = (await call((data: Uint8Array) => [data.length, data], [bytes])) as [number, Uint8Array];
    expect(back[0]).toBe(10_000_000);
    expect(Buffer.compare(back[1], bytes)).toBe(0);
    const numbers = (await call(
      (data: { data: Float64Array }) => data.data.map((x) => x * 2),
      [new Float64Array(1_250_000).fill(0.5)],
    )) as { data: Float64Array };
    expect(numbers.data.every((x) => x === 1)).toBe(true);
  });

  it("print into the step's log", async (context) => {
    needNode(context);
    const task = new RuntimeTask().runFunction(() => {
      console.log("to stdout", "x".repeat(200_000).length);
      process.stdout.write("y".repeat(300_000));
      console.error("to stderr");
      return 1;
    });
    await runtime.executeTask(task);
    expect(task.executionLog[0]).toContain("to stdout 200000\n");
    expect(task.executionLog[0]).toContain("to stderr");
    expect(task.executionLog[0]?.match(/y/g)?.length).toBe(300_000);
    expect(readFileSync(task.executionLogFilePath!, "utf8")).toContain("to stderr");
    const leaving = new RuntimeTask().runFunction(() => {
      process.stderr.write("z".repeat(300_000));
      process.exit(3);
    });
    await rejection(runtime.executeTask(leaving));
    expect(leaving.executionLog[0]?.match(/z/g)?.length).toBe(300_000);
  });

  it("many at once, and one after the other, leave nothing", async (context) => {
    needNode(context);
    const results = await Promise.all(Array.from({ length: 12 }, (_, at) => call((x: number) => x * x, [at])));
    expect(results).toEqual(Array.from({ length: 12 }, (_, at) => at * at));
    const left = (await hosts.hosts[0]!.processes()).filter(({ args }) => args.includes("node"));
    expect(left).toEqual([]);
  });
});

describe("a JavaScript function that fails", () => {
  it("tells its error with the stack of its own lines", async (context) => {
    needNode(context);
    const error = await failure(function outer(): never {
      const inner = (): never => {
        throw new TypeError("no good", { cause: new RangeError("deeper") });
      };
      return inner();
    });
    expect(error).toMatchObject({ code: "ERR_TASK_FAILED", reason: "failed", host: "host-1" });
    expect(error.message).toContain("TypeError: no good");
    expect(error.remoteTraceback).toMatch(/at inner \(<js outer>:3:\d+\)\n\s+> throw new TypeError/);
    expect(error.remoteTraceback).toMatch(/at outer \(<js outer>:5:\d+\)/);
    expect(error.remoteTraceback).toContain("caused by:\nRangeError: deeper");
    expect(error.remoteTraceback).not.toMatch(/lazycluster-worker|node:internal/);
  });

  it("names a variable that it was not given", async (context) => {
    needNode(context);
    const forgotten = 5;
    const error = await failure(() => forgotten + 1);
    expect(error.message).toMatch(/forgotten is not defined\. .*context: \{ forgotten \}/);
    expect(await call(jsFunction(() => forgotten + 1, { context: { forgotten } }))).toBe(6);
  });

  it("in any other way: one clear error", async (context) => {
    needNode(context);
    const cases: [Fn, RegExp][] = [
      [() => Promise.reject(new Error("rejected")), /Error: rejected/],
      [() => { throw "a text"; }, /thrown: 'a text'/], // eslint-disable-line
      [() => process.exit(3), /exit code 3/],
      [() => process.kill(process.pid, "SIGKILL"), /SIGKILL/],
      [() => new Promise(() => undefined), /never settled/],
      [() => { setTimeout(() => { throw new Error("late"); }, 1); return new Promise((resolve) => setTimeout(resolve, 5000)); }, /Error: late/],
      [() => ({ a: [() => 1] }), /result\.a\[0\] cannot travel/],
      [() => { (require("node:fs") as typeof import("node:fs")).closeSync(3); return 1; }, /exit code|gave no value|ended/],
    ]; // prettier-ignore
    for (const [fn, says] of cases) {
      const error = await failure(fn);
      expect(error).toMatchObject({ code: "ERR_TASK_FAILED", reason: "failed" });
      expect(error.message).toMatch(says);
    }
    const task = new RuntimeTask().runFunction(() => {
      const huge: unknown[] = [];
      for (;;) huge.push(new Array(1e6).fill(huge));
    });
    task.envVariables = { NODE_OPTIONS: "--max-old-space-size=50" };
    expect(((await rejection(runtime.executeTask(task))) as Error).message).toMatch(/SIGABRT|SIGTRAP|exit code/);
    expect(await call(() => "alive")).toBe("alive");
  });

  it("is ended by a timeout, and by a cancel, busy or waiting", async (context) => {
    needNode(context);
    const busy = (): void => {
      console.log("started");
      for (;;);
    };
    const waiting = async (): Promise<void> => {
      console.log("started");
      await new Promise((resolve) => setTimeout(resolve, 1e6));
    };
    for (const fn of [busy, waiting]) {
      expect(await failure(fn, { timeoutMs: 700 })).toMatchObject({ reason: "timeout" });
      const task = new RuntimeTask().runFunction(fn);
      const execution = runtime.executeTask(task);
      const end = rejection(execution);
      await new Promise((resolve) => task.on("output", resolve));
      await execution.cancel();
      expect(await end).toMatchObject({ reason: "cancelled" });
    }
  });
});

describe("a host", () => {
  async function withPath(script: string | null): Promise<string> {
    const dir = `${await runtime.workingDir}/fake-${String(Math.random()).slice(2)}`;
    await runtime.executeTask(
      new RuntimeTask().runCommand(
        script === null ? `mkdir '${dir}'` : `mkdir '${dir}' && cat > '${dir}/node' && chmod 755 '${dir}/node'`,
        script === null ? {} : { stdin: script },
      ),
    );
    const task = new RuntimeTask().runFunction(() => 1);
    task.envVariables = { PATH: dir };
    const error = (await rejection(runtime.executeTask(task))) as Error;
    return error.message;
  }

  it("without Node.js is named, with what to do", async () => {
    expect(await withPath(null)).toMatch(
      /host-1: There is no `node` in the PATH on this host\..*18 or newer.*install/s,
    );
  });

  it("with an old Node.js is named, with its version", async (context) => {
    needNode(context);
    const found = (await hosts.hosts[0]!.exec(["sh", "-c", "command -v node"])).stdout.trim();
    const old = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '16.20.2' } })";
    const script = `#!/bin/sh\nprintf '%s' "${old}" > "$0.js"\nexec ${found} -r "$0.js" "$@"\n`;
    expect(await withPath(script)).toMatch(/host-1: The Node\.js of this host is 16\.20\.2; .* 18 or newer/);
  });

  it("may name its own Node.js", async (context) => {
    needNode(context);
    const found = (await hosts.hosts[0]!.exec(["sh", "-c", "command -v node"])).stdout.trim();
    expect(await call(jsFunction(() => process.execPath, { node: found }))).toBe(found);
    expect((await failure(jsFunction(() => 1, { node: "/nowhere/node" }))).message).toContain("/nowhere/node");
  });
});

class Workbench {
  readonly tools = 1;
}

describe("jsFunction refuses", () => {
  it("Python objects, before anything is kept or sent", async () => {
    const make = py`def make(): return object()`;
    const handle = (await (await runtime.executeFunction(make)).returns())[0] as PyHandleType;
    for (const compose of [
      () => new RuntimeTask().runFunction((x) => x, { handle }, { args: [new Uint8Array(70_000_000)] }),
      () => new RuntimeTask().runFunction(jsFunction(() => handle, { context: { handle } })),
    ]) {
      expect(compose).toThrow(InvalidArgumentError);
      expect(compose).toThrow(/JavaScript function takes no Python objects/);
    }
    await handle.dispose();
  });

  afterAll(() => expect(spooled()).toEqual([]));

  it.each<[string, () => unknown, RegExp]>([
    ["built-in functions", () => jsFunction(Math.max), /built in/],
    ["bound functions", () => jsFunction((() => 1).bind(null)), /bound/],
    ["classes", () => jsFunction(Workbench as never), /class/],
    ["what is no function", () => jsFunction(5 as never), /function/],
    ["getters", () => jsFunction(Object.getOwnPropertyDescriptor({ get a() { return () => 1; } }, "a")!.get! as never), /getter/], // prettier-ignore
    ["computed names", () => jsFunction({ [Symbol.iterator]() { return 1; } }[Symbol.iterator]), /computed/], // prettier-ignore
    ["wrong names", () => jsFunction(() => 1, { context: { "a b": 1 } }), /a b/],
    ["reserved names", () => jsFunction(() => 1, { context: { class: 1 } }), /class/],
    ["names that are code", () => jsFunction(() => 1, { context: { "a = process.exit()": 1 } }), /name/],
    ["values that cannot travel", () => jsFunction(() => 1, { context: { a: Symbol("x") as never } }), /context\.a/],
    ["unknown options", () => jsFunction(() => 1, { contxt: {} } as never), /contxt/],
    ["a value that stays on a host", () => new RuntimeTask().runFunction(() => 1, {}, { args: [new Uint8Array(70_000_000)], result: "handle" }), /result: "handle"/], // prettier-ignore
    ["a task of what is no function", () => new RuntimeTask().runFunction({} as never), /jsFunction/],
  ])("%s", (_, make, says) => {
    expect(make).toThrow(InvalidArgumentError);
    expect(make).toThrow(says);
  });
});
