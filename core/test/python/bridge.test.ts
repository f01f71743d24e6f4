/** The manager's own Python, and what it ships to real hosts. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts } from "../hosts";
import {
  InvalidArgumentError,
  type LazyclusterErrorType,
  PyHandle,
  type PyHandleType,
  PythonVersionError,
  Runtime,
  type RuntimeType,
  type Workspace,
  bridge,
  eventually,
  expectCleanHost,
  py,
  pyFile,
  pyModule,
  pythonOf,
  rejection,
  startManager,
  temporaryFolders,
  workspace,
} from "../support";

/** What all hosts of the tests have too. */
const PYTHON = "/usr/bin/python3";

let hosts: TestHosts;
let host: TestHost;
let space: Workspace;
let runtime: RuntimeType;
let other: RuntimeType;

beforeAll(async () => {
  hosts = await startHosts({ count: 2, pythons: true });
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
  process.env["LAZYCLUSTER_PYTHON"] = PYTHON;
});
beforeEach(() => {
  runtime = new Runtime("host-1", { python: PYTHON });
  other = new Runtime("host-2", { python: PYTHON });
});
afterEach(async () => {
  await Promise.all([runtime.close(), other.close(), bridge.close()]);
  await expectCleanHost(host, 3000);
  expect(processes()).toEqual([]);
  expect(ours(space.env["TMPDIR"]!)).toEqual([]);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
  delete process.env["LAZYCLUSTER_PYTHON"];
});

/** Processes of this machine that agents of this test file have started: they work for this workspace alone. */
function processes(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
        return (
          environment.includes(`LAZYCLUSTER_STATE_DIR=${space.env["LAZYCLUSTER_STATE_DIR"]!}`) &&
          environment.some((line) => line.startsWith("LAZYCLUSTER_TAG=") || line.startsWith("LAZYCLUSTER_CONNECTION="))
        );
      } catch {
        return false;
      }
    });
}

/** Connections' folders. */
const ours = (folder: string): string[] =>
  readdirSync(folder).filter((name) => name.startsWith("lazycluster-") && existsSync(join(folder, name, "handles")));

/** Handle files of all connections to the host. */
function kept(on: TestHost): string[] {
  return temporaryFolders(on).flatMap((folder) => {
    const handles = join(on.dir, "tmp", folder, "handles");
    return existsSync(handles) ? readdirSync(handles) : [];
  });
}

/** What was carried to a host. */
function copies(on: TestHost): string[] {
  return temporaryFolders(on).flatMap((folder) => {
    const all = readdirSync(join(on.dir, "tmp", folder), { recursive: true, encoding: "utf8" });
    return all.filter((name) => /^\d+\/\d+$/.test(name));
  });
}

async function call(on: RuntimeType, ...args: Parameters<RuntimeType["executeFunction"]>): Promise<unknown> {
  return (await (await on.executeFunction(...args)).returns())[0];
}
const message = async (work: PromiseLike<unknown>): Promise<string> => ((await rejection(work)) as Error).message;

describe("the bridge", () => {
  it("defines, calls and evaluates; what is not data is a handle that lives there", async () => {
    const made = await bridge.define(`
import math
n = 5
_hidden = 1
def area(r):
    return round(math.pi * r * r, n)
class Box:
    def __init__(self, content):
        self.content = content
    def __repr__(self):
        return "Box(%r)" % (self.content,)
`);
    expect(Object.keys(made).sort()).toEqual(["Box", "area", "math", "n"]);
    expect(made["area"]).toBeInstanceOf(PyHandle);
    expect(made["area"]).toMatchObject({ type: "function", host: "localhost" });
    expect(await made["n"]!.value()).toBe(5);
    expect(await bridge.call(made["area"]!, [1])).toBe(3.14159);
    expect(await bridge.call(pyModule("math", "gcd"), [12, 18])).toBe(6);
    expect(await bridge.call(py`def f(a, *, b): return [a, b]`, [1], { b: { c: 2n ** 70n } })).toEqual([
      1,
      { c: 2n ** 70n },
    ]);
    expect(await bridge.eval("n * 2")).toBe(10);
    const box = (await bridge.call(made["Box"]!, [[1, 2]])) as PyHandleType;
    expect(box).toMatchObject({ repr: "Box([1, 2])", host: "localhost" });
    // The very object.
    await bridge.call(py`def put(box, item): box.content.append(item)`, [box, 3]);
    expect(await bridge.call(py`def get(boxes): return boxes[0].content`, [[box]])).toEqual([1, 2, 3]);
    expect(await message(bridge.define("def broken(:\n  pass"))).toMatch(/does not compile.*line 1/);
    expect(await message(bridge.call(made["area"]!, ["x"]))).toMatch(/TypeError/);
    expect(await message(box.value())).toMatch(/Box/);
  });

  it("takes source as text, template and file", async () => {
    const file = join(space.path("scripts"), "tools.py");
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, "def twice(x):\n    return 2 * x\n\ndef thrice(x):\n    return 3 * x\n");
    const { twice, thrice } = await bridge.define(pyFile(file, "twice"));
    expect([await bridge.call(twice!, [4]), await bridge.call(thrice!, [4])]).toEqual([8, 12]);
    const { scaled } = await bridge.define(py`
    factors = ${[2, 3]}
    def scaled(x):
        return [x * factor for factor in factors]
    `);
    expect(await bridge.call(scaled!, [10])).toEqual([20, 30]);
    expect(await call(runtime, scaled!, { x: 10 })).toEqual([20, 30]);
  });

  it("ships closures, lambdas, classes, methods and objects to hosts, as they are at the call", async () => {
    const { make, square, Model } = await bridge.define(`
import math
rate = 10
def make(n):
    def inner(x):
        return helper(x) * n + rate
    return inner
def helper(x):
    return x + 1
square = lambda x: x ** 2
class Model:
    def __init__(self):
        self.weights = [1, 2]
    def predict(self, x):
        return math.floor(sum(self.weights) * x)
`);
    const closure = (await bridge.call(make!, [2])) as PyHandleType;
    expect(await call(runtime, closure, { x: 4 })).toBe(20);
    expect(await call(other, square!, { x: 9 })).toBe(81);
    const model = (await bridge.call(Model!)) as PyHandleType;
    const predict = py`def predict(model, x): return model.predict(x)`;
    expect(
      await Promise.all([call(runtime, predict, { model, x: 1.5 }), call(other, predict, { model, x: 2 })]),
    ).toEqual([4, 6]);
    await bridge.call(py`def train(model): model.weights.append(10)`, [model]);
    expect(await call(runtime, predict, { model, x: 2 })).toBe(26);
    await bridge.define("rate = 100");
    expect(await call(runtime, closure, { x: 4 })).toBe(110);
    // And back: an object that a host made from it.
    const made = (await call(runtime, Model!)) as PyHandleType;
    expect(made.host).toBe("host-1");
    expect(await bridge.call(predict, [made, 1])).toBe(3);
  });

  it("sends a module by value where that is asked for; else the host names it", async () => {
    const folder = space.path("modules");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "lc_local_tools.py"), "FACTOR = 3\ndef scale(x):\n    return FACTOR * x\n");
    await bridge.call(
      py`
    def add(folder):
        import sys
        sys.path.insert(0, folder)
    `,
      [folder],
    );
    const { scale } = await bridge.define("from lc_local_tools import scale");
    expect(await bridge.call(scale!, [2])).toBe(6);
    expect(await message(call(runtime, scale!, { x: 2 }))).toMatch(/host-1.*lc_local_tools/);
    await bridge.shipModule("lc_local_tools");
    expect(await call(runtime, scale!, { x: 2 })).toBe(6);
    await expect(bridge.shipModule("not a module")).rejects.toThrow(InvalidArgumentError);
    await expect(bridge.shipModule("lc_missing")).rejects.toThrow(/lc_missing/);
  });

  it("prints to this process's stdout and stderr", async () => {
    const script = startManager(
      `
      await bridge.call(py\`
      def loud():
          import os, sys
          print("to stdout")
          print("to stderr", file=sys.stderr)
          os.system("echo from a child")
      \`);
      await bridge.close();
      `,
      { env: { ...space.env, LAZYCLUSTER_PYTHON: PYTHON } },
    );
    expect(await script.exited).toEqual({
      code: 0,
      signal: null,
      stdout: "to stdout\nfrom a child\n",
      stderr: "to stderr\n",
    });
  });

  it("keeps no process alive, and none is left of it, however its process ends", async () => {
    const env = { ...space.env, LAZYCLUSTER_PYTHON: PYTHON };
    const polite = startManager(`say("is", await bridge.eval("1 + 1"));`, { env });
    expect(await polite.hear("is")).toBe(2);
    expect(await polite.exited).toMatchObject({ code: 0, stderr: "" });
    const killed = startManager(
      `await bridge.eval("__import__('subprocess').Popen(['sleep', '4321'])"); say("runs"); setInterval(() => {}, 1000);`,
      { env },
    );
    try {
      await killed.hear("runs");
      // A process has its environment a moment after the call that started it has returned.
      await eventually(() => expect(processes()).not.toEqual([]), 3000);
    } finally {
      killed.kill();
    }
    await eventually(() => expect(processes()).toEqual([]), 3000);
  });

  it("is Python of another minor version than a host: refused with both named, before anything runs", async ({
    skip,
  }) => {
    const newer = pythonOf(12);
    if (newer === null) {
      skip("no Python 3.12 here");
      return;
    }
    const { f } = await bridge.define("def f(): return 1");
    const minor = (await bridge.eval("'cpython %d.%d' % __import__('sys').version_info[:2]")) as string;
    const refused = (await rejection(call(runtime, f!, undefined, { python: newer }))) as LazyclusterErrorType;
    expect(refused).toBeInstanceOf(PythonVersionError);
    expect(refused).toMatchObject({ found: "cpython 3.12", needed: minor, host: "host-1" });
    const elsewhere = new Runtime("host-2", { python: newer });
    expect(await rejection(call(elsewhere, f!))).toMatchObject({
      found: "cpython 3.12",
      needed: minor,
      host: "host-2",
    });
    await elsewhere.close();
    expect(await call(runtime, f!)).toBe(1);
  });

  it("that is not there says how to name one", async () => {
    process.env["LAZYCLUSTER_PYTHON"] = "/no/such/python";
    try {
      expect(await message(bridge.eval("1"))).toMatch(/bridge.*\/no\/such\/python.*LAZYCLUSTER_PYTHON/);
    } finally {
      process.env["LAZYCLUSTER_PYTHON"] = PYTHON;
    }
    expect(await bridge.eval("1")).toBe(1);
  });

  it("refuses wrong arguments", async () => {
    await expect(bridge.define("")).rejects.toThrow(InvalidArgumentError);
    await expect(bridge.define(pyModule("math", "sin"))).rejects.toThrow(InvalidArgumentError);
    await expect(bridge.eval(1 as never)).rejects.toThrow(InvalidArgumentError);
    await expect(bridge.call("f" as never)).rejects.toThrow(InvalidArgumentError);
    await expect(bridge.call(py`def f(): pass`, 1 as never)).rejects.toThrow(InvalidArgumentError);
    await expect(bridge.call(py`def f(x): pass`, [Symbol("x") as never])).rejects.toThrow(InvalidArgumentError);
  });
});

describe("a bridge that dies", () => {
  it.each([
    ["leaves", "__import__('os')._exit(3)"],
    ["crashes", "__import__('os').kill(__import__('os').getpid(), 11)"],
  ])("(it %s) says so once, its handles are gone, and the next call works", async (_how, expression) => {
    const { f } = await bridge.define("def f(): return 1");
    expect(await message(bridge.eval(expression))).toMatch(
      /bridge.*\/usr\/bin\/python3.*ended.*next call starts a new one/,
    );
    expect(await bridge.eval("'f' in globals()")).toBe(false);
    await bridge.define("def g(): return 2");
    expect(await message(bridge.call(f!))).toMatch(/function f.*gone.*Make it again/);
    expect(() => runtime.executeFunction(f!)).toThrow(/gone/);
    await f!.dispose();
  });

  it("with all of its connection is as good as new after one error", async () => {
    await bridge.define("x = 1");
    const waits = message(bridge.eval("__import__('time').sleep(1000)"));
    const agents = await eventually(() => {
      const found = readdirSync("/proc").filter((pid) => {
        try {
          return (
            /^\d+$/.test(pid) &&
            readFileSync(`/proc/${pid}/status`, "utf8").includes(`PPid:\t${String(process.pid)}\n`) &&
            readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(PYTHON)
          );
        } catch {
          return false;
        }
      });
      expect(found).not.toEqual([]);
      return found;
    }, 5000);
    for (const pid of agents) process.kill(Number(pid), "SIGKILL");
    expect(await waits).toMatch(/bridge.*ended/);
    expect(await bridge.eval("'x' in globals()")).toBe(false);
  });

  it("by close() takes its handles along", async () => {
    const { f } = await bridge.define("def f(): return 1");
    await bridge.close();
    await bridge.close();
    expect(await message(bridge.call(f!))).toMatch(/gone/);
    expect(await bridge.eval("1 + 1")).toBe(2);
  });
});

describe("a cell that is interrupted", () => {
  it("ends the calls that it awaits, there too; the bridge and its objects go on", async () => {
    const slow = py`
    import time
    def slow():
        open(${join(space.dir, "started")}, "w").close()
        time.sleep(60)
    `;
    const { Slow, x } = await bridge.define(`
x = 5
class Slow:
    def __reduce__(self):
        import time
        return time.sleep, (60,)
`);
    const handle = (await call(runtime, Slow!)) as PyHandleType;
    const started = join(space.dir, "started");
    for (const [begin, hasBegun] of [
      [() => bridge.call(slow), () => existsSync(started)],
      [() => bridge.eval(`open(${JSON.stringify(started)}, "w").close()\n__import__("time").sleep(60)`), () => existsSync(started)], // prettier-ignore
      [() => handle.value(), () => true],
    ] as const) {
      rmSync(started, { force: true });
      const cell = interruptible();
      const failed = cell.run(() => rejection(begin()));
      await eventually(hasBegun, 10_000);
      cell.interrupt();
      expect(await failed).toMatchObject({ code: "ERR_CANCELLED" });
      expect(await bridge.call(py`def twice(x): return 2 * x`, [x!])).toBe(10);
    }
    rmSync(started, { force: true });
  });
});

/** A notebook's kernel, as far as calls ask it. */
function interruptible(): { run: <T>(work: () => T) => T; interrupt: () => void } {
  const symbol = Symbol.for("lazycluster.notebook");
  const room = globalThis as Record<symbol, unknown>;
  const abort = new AbortController();
  return {
    run: (work) => {
      room[symbol] = { runningCell: 1, awaitingCell: () => ({ id: 1, signal: abort.signal }) };
      try {
        return work();
      } finally {
        // eslint-disable-next-line @typescript-eslint/no-dynamic-delete
        delete room[symbol];
      }
    },
    interrupt: () => abort.abort(),
  };
}

describe("handles of the bridge", () => {
  it("are freed when they are disposed, or nobody can reach them", { timeout: 60_000 }, async () => {
    const script = startManager(
      `
      await bridge.define(\`
import weakref
living = weakref.WeakSet()
class T:
    def __init__(self):
        living.add(self)
def count():
    import gc
    gc.collect()
    return len(living)
\`).then(({ T, count }) => { globalThis.T = T; globalThis.count = count; });
      const kept = await bridge.call(globalThis.T);
      let dropped = [];
      for (let i = 0; i < 100; i++) dropped.push(await bridge.call(globalThis.T));
      say("made", await bridge.call(globalThis.count));
      dropped = null;
      let living = 101;
      for (let i = 0; i < 100 && living > 1; i++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 50));
        living = await bridge.call(globalThis.count);
      }
      say("left", living);
      await kept.dispose();
      for (let i = 0; i < 100 && living > 0; i++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        living = await bridge.call(globalThis.count);
      }
      say("none", living);
      await bridge.close();
      `,
      { env: { ...space.env, LAZYCLUSTER_PYTHON: PYTHON }, nodeArgs: ["--expose-gc"] },
    );
    expect(await script.hear("made")).toBe(101);
    expect(await script.hear("left", 30_000)).toBe(1);
    expect(await script.hear("none", 30_000)).toBe(0);
    expect(await script.exited).toMatchObject({ code: 0, stderr: "" });
  });

  it("and of hosts stay while a task or a call needs them, whoever has dropped them", { timeout: 60_000 }, async () => {
    const script = startManager(
      `
      const runtime = new Runtime("host-1", { python: input });
      const make = py\`
      class Counter:
          def __init__(self):
              self.n = 41
          def __call__(self, more):
              return self.n + more

      def make():
          return Counter()
      \`;
      const read = py\`def read(counter): return counter.n\`;
      const made = async () => (await (await runtime.executeFunction(make)).returns())[0];
      const collect = async (rounds) => {
        for (let i = 0; i < rounds; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
      };
      let tasks = await (async () => [
        new RuntimeTask().runFunction(read, { counter: await made() }),
        new RuntimeTask().runFunction(await made(), { more: 1 }),
        new RuntimeTask().runFunction(py\`def late(): return \${await made()}.n + 2\`),
        new RuntimeTask().runFunction(await bridge.eval("lambda: 44")),
      ])();
      runtime.clearTasks();
      const call = (async () => bridge.call(py\`
      def late(f):
          import time
          time.sleep(1)
          return f()
      \`, [await bridge.eval("lambda: 45")]))();
      await collect(30);
      say("values", [...await Promise.all(tasks.map(async (task) => {
        await runtime.executeTask(task);
        return (await task.returns())[0];
      })), await call]);
      runtime.clearTasks();
      tasks = null;
      await collect(50);
      say("freed");
      await heard();
      await runtime.close();
      await bridge.close();
      `,
      { env: { ...space.env, LAZYCLUSTER_PYTHON: PYTHON }, input: PYTHON, nodeArgs: ["--expose-gc"] },
    );
    expect(await script.hear("values", 30_000)).toEqual([41, 42, 43, 44, 45]);
    await script.hear("freed", 30_000);
    await eventually(() => expect(kept(host).length).toBeLessThanOrEqual(1), 10_000);
    script.tell("go");
    expect(await script.exited).toMatchObject({ code: 0, stderr: "" });
  });

  it("leave no copies on hosts when the bridge has gone on", async () => {
    const { Box } = await bridge.define("class Box:\n    def __init__(self, n):\n        self.n = n");
    const read = py`def read(box): return box.n`;
    for (let n = 0; n < 5; n += 1) {
      const box = (await bridge.call(Box!, [n])) as PyHandleType;
      expect(await call(runtime, read, { box })).toBe(n);
      expect(await call(runtime, read, { box })).toBe(n);
      await eventually(() => expect(copies(host).length).toBeLessThanOrEqual(1), 5000);
      await box.dispose();
    }
    await eventually(() => expect(copies(host)).toEqual([]), 5000);
  });

  it("of a malicious object from a host run it only when it is used there", async () => {
    const mark = join(space.dir, "evil");
    const evil = (await call(
      runtime,
      py`
      class Evil:
          def __reduce__(self):
              import os
              return os.system, ("touch '" + ${mark} + "'",)

      def evil():
          return Evil()
      `,
    )) as PyHandleType;
    await bridge.eval("1");
    expect(existsSync(mark)).toBe(false);
    await bridge.call(py`def use(x): return 1`, [evil]);
    expect(existsSync(mark)).toBe(true);
    rmSync(mark);
  });
});
