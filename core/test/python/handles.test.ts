/** Objects that stay on their host, passed on, looked at, and removed. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts } from "../hosts";
import {
  type LazyclusterErrorType,
  PyHandle,
  type PyHandleType,
  PythonVersionError,
  Runtime,
  RuntimeTask,
  type RuntimeType,
  TaskExecutionError,
  type Workspace,
  agentAndKeeper,
  eventually,
  expectCleanHost,
  jupyterDisplay,
  py,
  pythonOf,
  rejection,
  startManager,
  temporaryFolders,
  workspace,
} from "../support";

let hosts: TestHosts;
let host: TestHost;
let space: Workspace;
let runtime: RuntimeType;
let other: RuntimeType;

beforeAll(async () => {
  hosts = await startHosts({ count: 2, pythons: true });
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
});
beforeEach(() => {
  runtime = new Runtime("host-1");
  other = new Runtime("host-2");
});
afterEach(async () => {
  await Promise.all([runtime.close(), other.close()]);
  for (const each of hosts.hosts) await expectCleanHost(each, 3000);
  expect(spooled()).toEqual([]);
});
afterAll(async () => {
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

/** Handle files of all connections to the host. */
function kept(on: TestHost): string[] {
  return temporaryFolders(on).flatMap((folder) => {
    const handles = join(on.dir, "tmp", folder, "handles");
    return existsSync(handles) ? readdirSync(handles).map((name) => join(handles, name)) : [];
  });
}

const makeCounter = py`
class Counter:
    def __init__(self, n):
        self.n = n
    def __repr__(self):
        return "Counter(%d)" % self.n
    def __call__(self, more=1):
        return self.n + more

def make(n=41):
    return Counter(n)
`;
const readCounter = py`
def read(counter):
    return [counter.n, repr(counter), type(counter).__name__]
`;

async function call(on: RuntimeType, ...args: Parameters<RuntimeType["executeFunction"]>): Promise<unknown> {
  return (await (await on.executeFunction(...args)).returns())[0];
}
const counter = async (): Promise<PyHandleType> => (await call(runtime, makeCounter)) as PyHandleType;

describe("a result that is not data", () => {
  it("comes back as a handle that says what it is, and keeps the object in a private file of its host", async () => {
    const handle = await counter();
    expect(handle).toBeInstanceOf(PyHandle);
    expect(handle).toMatchObject({ repr: "Counter(41)", type: "Counter", host: "host-1" });
    const files = kept(host);
    expect(files).toHaveLength(1);
    expect(statSync(files[0]!).mode & 0o777).toBe(0o600);
    expect(handle[jupyterDisplay]()["text/plain"]).toMatch(/Counter\(41\)[\s\S]*on host-1/);
    const error = (await rejection(handle.value())) as LazyclusterErrorType;
    expect(error).toMatchObject({ code: "ERR_PYTHON", host: "host-1" });
    expect(error.message).toMatch(/Counter/);
    await handle.dispose();
    await handle.dispose();
    expect(kept(host)).toEqual([]);
    expect(((await rejection(handle.value())) as Error).message).toMatch(/host-1.*Counter\(41\).*disposed/);
    expect(() => runtime.executeFunction(readCounter, { counter: handle })).toThrow(/disposed/);
  });

  it("is an argument on its own host and on another one, at any depth, once or twice", async () => {
    const handle = await counter();
    for (const where of [runtime, other]) {
      expect(await call(where, readCounter, { counter: handle })).toEqual([41, "Counter(41)", "Counter"]);
      const both = py`
      def both(pair, *, named):
          return [pair[0]["deep"].n, pair[1].n, named.n, pair[0]["deep"] is pair[1]]
      `;
      const found = (await call(where, both, { named: handle }, { args: [[{ deep: handle }, handle]] })) as unknown[];
      expect(found.slice(0, 3)).toEqual([41, 41, 41]);
    }
    // Carried once: what is there already is not carried again.
    const carried = temporaryFolders(hosts.hosts[1]!).length;
    await call(other, readCounter, { counter: handle });
    expect(temporaryFolders(hosts.hosts[1]!)).toHaveLength(carried);
    await handle.dispose();
  });

  it("may be what is called, here and there", async () => {
    const handle = await counter();
    expect(await call(runtime, handle, { more: 9 })).toBe(50);
    expect(await call(other, handle, undefined, { args: [1] })).toBe(42);
    const adder = (await call(
      runtime,
      py`
      def make_adder(n):
          def add(x):
              return x + n
          return add
      `,
      { n: 5 },
    )) as PyHandleType;
    expect(adder.type).toBe("function");
    expect(await call(other, adder, { x: 2 })).toBe(7);
    const task = await other.executeFunction(adder, { x: 1 });
    expect(task.steps[0]?.description).toMatch(/call <function/);
  });

  it("goes from host to host, and back as another handle", async () => {
    const first = await counter();
    const increase = py`
    def increase(counter):
        counter.n += 1
        return counter
    `;
    const second = (await call(other, increase, { counter: first })) as PyHandleType;
    expect([second.host, second.repr]).toEqual(["host-2", "Counter(42)"]);
    const third = (await call(runtime, increase, { counter: second })) as PyHandleType;
    expect([third.host, third.repr]).toEqual(["host-1", "Counter(43)"]);
    expect(await call(runtime, readCounter, { counter: first })).toEqual([41, "Counter(41)", "Counter"]);
  });

  it("is data where that is asked for, and a handle where that is", async () => {
    const numbers = py`def numbers(): return [1, 2.5, "x"]`;
    expect(await call(runtime, numbers)).toEqual([1, 2.5, "x"]);
    const handle = (await call(runtime, numbers, undefined, { result: "handle" })) as PyHandleType;
    expect(handle).toMatchObject({ repr: "[1, 2.5, 'x']", type: "list" });
    expect(await handle.value()).toEqual([1, 2.5, "x"]);
    expect(await handle.value()).toEqual([1, 2.5, "x"]);
    const refused = (await rejection(call(runtime, makeCounter, undefined, { result: "data" }))) as Error;
    expect(refused).toBeInstanceOf(TaskExecutionError);
    expect(refused.message).toMatch(/Counter/);
    expect(kept(host)).toHaveLength(1);
  });

  it("can be what several functions of one task give", async () => {
    const task = new RuntimeTask().runFunction(makeCounter, { n: 1 }).runFunction(makeCounter, { n: 2 });
    await runtime.executeTask(task);
    const values = (await task.returns()) as PyHandleType[];
    expect(values.map(({ repr }) => repr)).toEqual(["Counter(1)", "Counter(2)"]);
    expect((await task.returns())[0]).toBe(values[0]);
  });

  it("tells why when it can neither be sent nor be kept", async () => {
    const error = (await rejection(
      call(
        runtime,
        py`
      def lock():
          import threading
          return threading.Lock()
      `,
      ),
    )) as Error;
    expect(error.message).toMatch(/host-1.*lock/);
    expect(kept(host)).toEqual([]);
    expect(await call(runtime, py`def fine(): return 1`)).toBe(1);
  });
});

describe("a handle", () => {
  it("goes with its runtime; a later use is one clear error, and the next call works", async () => {
    const handle = await counter();
    await runtime.close();
    expect(kept(host)).toEqual([]);
    for (const use of [
      () => call(other, readCounter, { counter: handle }),
      () => call(runtime, readCounter, { counter: handle }),
      () => handle.value(),
    ]) {
      const error = (await rejection(use())) as Error;
      expect(error.message).toMatch(/(gone|closed).*Make it again/);
    }
    await handle.dispose();
    expect(await call(runtime, readCounter, { counter: await counter() })).toEqual([41, "Counter(41)", "Counter"]);
  });

  it("of one runtime stays when another one of that host is closed", async () => {
    const second = new Runtime("host-1");
    const [mine, its] = [await counter(), (await call(second, makeCounter, { n: 7 })) as PyHandleType];
    expect(kept(host)).toHaveLength(2);
    await second.close();
    expect(kept(host)).toHaveLength(1);
    expect(await call(runtime, readCounter, { counter: mine })).toEqual([41, "Counter(41)", "Counter"]);
    await rejection(its.value());
  });

  it("is lost with its host, whoever uses it", async () => {
    const handle = await counter();
    const { agent } = await agentAndKeeper(host);
    process.kill(agent.outerPid, "SIGKILL");
    const error = (await rejection(
      eventually(async () => {
        await call(other, readCounter, { counter: handle });
        return false;
      }, 100),
    )) as Error;
    expect(error.message).toMatch(/host-2|gone/);
    expect(((await rejection(handle.value())) as Error).message).toMatch(/host-1/);
    expect(await call(runtime, readCounter, { counter: await counter() })).toEqual([41, "Counter(41)", "Counter"]);
  });

  it("that its host has lost or damaged is an error, and no crash", async () => {
    const handle = await counter();
    const [file = ""] = kept(host);
    writeFileSync(file, "lazycluster-pickle 1 cpython 3.11\nnot a pickle");
    expect(((await rejection(call(runtime, readCounter, { counter: handle }))) as Error).message).toMatch(/host-1/);
    rmSync(file);
    expect(((await rejection(call(runtime, readCounter, { counter: handle }))) as Error).message).toMatch(/host-1/);
    expect(((await rejection(call(other, readCounter, { counter: handle }))) as Error).message).toMatch(/host-1/);
    expect(await call(runtime, readCounter, { counter: await counter() })).toEqual([41, "Counter(41)", "Counter"]);
  });

  it("whose file is a folder is refused, and leaves nothing here", async () => {
    const handle = await counter();
    const [file = ""] = kept(host);
    rmSync(file);
    mkdirSync(file);
    writeFileSync(join(file, "content"), "x");
    expect(((await rejection(call(other, readCounter, { counter: handle }))) as Error).message).toMatch(
      /host-1: the file of a Python object is none/,
    );
    expect(spooled()).toEqual([]);
  });

  it("that is disposed while calls use it lasts until their end, on its host and on others", async () => {
    const handle = await counter();
    const slow = py`
    import os, time
    def slow(counter):
        open("/tmp/started", "w").close()
        while os.path.exists("/tmp/started"):
            time.sleep(0.02)
        return counter.n
    `;
    const started = hosts.hosts.map(({ dir }) => join(dir, "tmp", "started"));
    const running = [runtime, other].map((where) => call(where, slow, { counter: handle }));
    await eventually(() => started.every((file) => existsSync(file)), 10_000);
    await handle.dispose();
    expect(kept(host)).toHaveLength(1);
    rmSync(started[0]!);
    expect(await running[0]).toBe(41);
    expect(kept(host)).toHaveLength(1);
    rmSync(started[1]!);
    expect(await running[1]).toBe(41);
    await eventually(() => expect(kept(host)).toEqual([]), 5000);
  });

  it("of another minor version is refused, with both versions named", async ({ skip }) => {
    const [older, newer] = [pythonOf(9), pythonOf(12)];
    if (older === null || newer === null) {
      skip("no Python 3.9 and 3.12 here");
      return;
    }
    const made = (await call(runtime, makeCounter, undefined, { python: older })) as PyHandleType;
    const refused = (await rejection(
      call(runtime, readCounter, { counter: made }, { python: newer }),
    )) as LazyclusterErrorType;
    expect(refused).toBeInstanceOf(PythonVersionError);
    expect(refused).toMatchObject({
      code: "ERR_PYTHON_VERSION",
      host: "host-1",
      found: "cpython 3.12",
      needed: "cpython 3.9",
    });
    expect(refused.message).toMatch(/host-1/);
    expect(refused.message).toMatch(/3\.12/);
    expect(refused.message).toMatch(/3\.9/);
    // The host's own interpreter is known before anything is carried.
    const elsewhere = new Runtime("host-2", { python: newer });
    expect(await rejection(call(elsewhere, made))).toMatchObject({ found: "cpython 3.12", needed: "cpython 3.9" });
    await elsewhere.close();
    expect(await call(runtime, readCounter, { counter: made }, { python: older })).toEqual([
      41,
      "Counter(41)",
      "Counter",
    ]);
    // Of a later step it is the task's error, with this one as its cause.
    const later = await rejection(
      runtime.executeTask(
        new RuntimeTask().runCommand("true").runFunction(readCounter, { counter: made }, { python: newer }),
      ),
    );
    expect(later).toBeInstanceOf(TaskExecutionError);
    expect((later as LazyclusterErrorType).cause).toBeInstanceOf(PythonVersionError);
  });

  it("names a module that its loading needs and the host lacks, with the interpreter and the pip line", async () => {
    const folder = join(host.dir, "home", "modules");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "only_here.py"), "class Thing:\n    pass\n");
    const thing = (await call(
      runtime,
      py`
    def make():
        import os, sys
        sys.path.insert(0, os.path.expanduser("~/modules"))
        import only_here
        return only_here.Thing()
    `,
    )) as PyHandleType;
    expect(thing.type).toBe("only_here.Thing");
    const error = (await rejection(call(other, readCounter, { counter: thing }))) as Error;
    expect(error.message).toMatch(/host-2/);
    expect(error.message).toMatch(/only_here/);
    expect(error.message).toMatch(/-m pip install only_here/);
  });

  it("is freed when nobody can reach it any more", { timeout: 60_000 }, async () => {
    const script = startManager(
      `
      const runtime = new Runtime("host-1");
      const make = py\`
      def make():
          return type("T", (), {})()
      \`;
      let handles = [];
      for (let i = 0; i < 20; i++) handles.push((await (await runtime.executeFunction(make)).returns())[0]);
      runtime.clearTasks();
      say("made");
      await heard();
      handles = null;
      for (let i = 0; i < 50; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
      say("freed");
      await heard();
      await runtime.close();
      `,
      { env: space.env, nodeArgs: ["--expose-gc"] },
    );
    await script.hear("made");
    expect(kept(host)).toHaveLength(20);
    script.tell("go");
    await script.hear("freed", 30_000);
    await eventually(() => expect(kept(host).length).toBeLessThanOrEqual(1), 10_000);
    script.tell("go");
    expect(await script.exited).toMatchObject({ code: 0, stderr: "" });
  });

  it("of a malicious object runs nothing in Node, and on its host only by value() or a call", async () => {
    const mark = `/tmp/evil-${String(process.pid)}`;
    const evil = py`
    class Evil:
        def __reduce__(self):
            import os
            return os.system, ("touch " + ${mark},)
        def __repr__(self):
            return "\\x1b[31m<script>alert(1)</script>"
        def _repr_html_(self):
            return "<script>alert(1)</script>"

    def evil():
        return Evil()
    `;
    const here = join(host.dir, mark);
    const there = join(hosts.hosts[1]!.dir, mark);
    const handle = (await call(runtime, evil)) as PyHandleType;
    expect(handle.repr).not.toContain("\x1b");
    const bundle = handle[jupyterDisplay]();
    expect(bundle["text/html"]).not.toContain("<script>");
    expect([existsSync(mark), existsSync(here), existsSync(there)]).toEqual([false, false, false]);
    await call(other, py`def passes(x): return 1`, { x: handle });
    expect([existsSync(mark), existsSync(here), existsSync(there)]).toEqual([false, false, true]);
    await handle.value();
    expect([existsSync(mark), existsSync(here), existsSync(there)]).toEqual([false, true, true]);
    const trusting = new Runtime("host-1", { trusted: true });
    const trusted = (await call(trusting, evil)) as PyHandleType;
    expect(trusted[jupyterDisplay]()["text/html"]).toBe("<script>alert(1)</script>");
    await trusting.close();
  });

  it("can be waited for no longer: a cancel while it is carried ends that, and the next call carries it anew", async () => {
    const large = (await call(
      runtime,
      py`
      class Large:
          def __init__(self):
              self.content = bytes(200_000_000)

      def large():
          return Large()
      `,
    )) as PyHandleType;
    const execution = other.executeFunction(py`def size(x): return len(x.content)`, { x: large });
    const failed = rejection(execution);
    await eventually(() => spooled().length > 0, 5000, "it is on its way");
    await execution.cancel();
    expect(await failed).toMatchObject({ code: "ERR_TASK_CANCELLED" });
    await eventually(() => expect(spooled()).toEqual([]), 5000);
    expect(await call(other, py`def size(x): return len(x.content)`, { x: large })).toBe(200_000_000);
  });
});
