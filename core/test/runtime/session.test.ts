/** Sessions: kept Python processes on real hosts. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts } from "../hosts";
import {
  InvalidArgumentError,
  type LazyclusterErrorType,
  Runtime,
  RuntimeTask,
  type RuntimeType,
  type Workspace,
  agentAndKeeper,
  eventually,
  expectCleanHost,
  py,
  rejection,
  workspace,
} from "../support";

let hosts: TestHosts;
let host: TestHost;
let space: Workspace;
let runtime: RuntimeType;

beforeAll(async () => {
  hosts = await startHosts({ count: 2 });
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
});
beforeEach(() => {
  runtime = new Runtime("host-1");
});
afterEach(async () => {
  await runtime.close();
  await expectCleanHost(host, 3000);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

type SessionType = ReturnType<RuntimeType["session"]>;

const returns = async (execution: ReturnType<SessionType["run"]>): Promise<unknown> =>
  (await (await execution).returns())[0];
/** Python that says when it runs, and runs until it is told otherwise. */
const started = (name: string, then: string): string => `open("/tmp/${name}", "w").close()\n${then}`;
const runs = (name: string): Promise<unknown> =>
  eventually(async () => (await host.exec(["test", "-e", `/tmp/${name}`])).code === 0, 5000, `${name} runs`);

describe("a session", () => {
  it("keeps variables between cells and calls; its log is what they print", async () => {
    const session = runtime.session("main");
    expect(session.state).toBe("new");
    const first = await session.run("import math\nx = 40\nprint('first')\nx + 2");
    expect(await first.returns()).toEqual([42]);
    expect(first.executionLog).toEqual(["first\n"]);
    expect([session.state, session.name, session.host]).toEqual(["idle", "main", "host-1"]);
    expect(await returns(session.run("x = x + 1"))).toBeNull();
    expect(await returns(session.call(py`def f(y): return math.floor(x + y)`, { y: 1.5 }))).toBe(42);
    expect(await returns(session.call(py`def g(a, b=0): return [a, b, x]`, { b: 2 }, { args: [1] }))).toEqual([
      1, 2, 41,
    ]);
    expect(await returns(runtime.session("main").run("f(0)"))).toBe(41);
    expect(runtime.session("main")).toBe(session);
  });

  it("survives what raises, and tells it with the user's lines", async () => {
    const session = runtime.session("main");
    await session.run("x = 1");
    const error = (await rejection(
      session.run("y = 2\nraise ValueError('no ' + str(x))", { file: "cell.py" }),
    )) as LazyclusterErrorType;
    expect(error).toMatchObject({ name: "TaskExecutionError", code: "ERR_TASK_FAILED" });
    expect(error.message).toMatch(/raised ValueError: no 1/);
    expect(error.remoteTraceback).toMatch(/cell\.py", line 2[\s\S]*raise ValueError/);
    expect(((await rejection(session.run("x +"))) as Error).message).toMatch(/SyntaxError/);
    expect(((await rejection(session.run("import sys; sys.exit(3)"))) as Error).message).toMatch(/SystemExit/);
    expect(await returns(session.run("[x, y]"))).toEqual([1, 2]);
  });

  it("runs its calls one after the other, while other sessions and tasks run", async () => {
    const [one, two] = [runtime.session("one"), runtime.session("two")];
    const slow = one.run(started("slow", "import time\nn = 1\nwhile n: time.sleep(0.01)"));
    await runs("slow");
    const waits = one.run("n = 5");
    expect(one.state).toBe("busy");
    expect(await returns(two.run("'free'"))).toBe("free");
    await one.interrupt();
    expect(((await rejection(slow)) as Error).message).toMatch(/KeyboardInterrupt/);
    await waits;
    expect(await returns(one.run("n"))).toBe(5);
  });

  it("can be interrupted, keeps its variables then, and says when nothing ran", async () => {
    const session = runtime.session("main");
    await session.run("kept = 'kept'");
    expect(await session.interrupt()).toBe(false);
    for (const busy of [
      "while True: pass",
      "import time; time.sleep(1000)",
      "import subprocess; subprocess.run(['sleep', '1000'])",
    ]) {
      const name = `busy-${String(Math.random())}`;
      const execution = session.run(started(name, busy));
      await runs(name);
      expect(await session.interrupt()).toBe(true);
      expect(await rejection(execution)).toMatchObject({ name: "TaskExecutionError" });
      expect(await returns(session.run("kept"))).toBe("kept");
    }
  });

  it("starts empty after restart; what ran fails, and nothing of it stays", async () => {
    const session = runtime.session("main");
    await session.run("x = 1");
    const busy = session.run(started("restart", "import subprocess\nsubprocess.run(['sleep', '4040'])"));
    await runs("restart");
    const failed = rejection(busy);
    await session.restart();
    expect(await failed).toMatchObject({ name: "TaskExecutionError" });
    expect((await host.processes()).filter(({ args }) => args.includes("4040"))).toEqual([]);
    expect(session.state).toBe("new");
    expect(await returns(session.run("'x' in globals()"))).toBe(false);
  });

  it("is over after close, and a new one of that name is another", async () => {
    const session = runtime.session("main");
    await session.run("x = 1");
    await session.close();
    await session.close();
    expect(session.state).toBe("closed");
    expect(() => session.run("1")).toThrow(/was closed.*runtime\.session/);
    const again = runtime.session("main");
    expect(again).not.toBe(session);
    expect(await returns(again.run("'x' in globals()"))).toBe(false);
  });

  it("goes with its runtime, and starts anew with it", async () => {
    const session = runtime.session("main");
    await session.run("x = 1");
    await runtime.close();
    await expectCleanHost(host, 3000);
    expect(session.state).toBe("new");
    expect(await returns(session.run("'x' in globals()"))).toBe(false);
  });

  it("that dies tells the call that ran, and the next call works", async () => {
    const session = runtime.session("main");
    await session.run("x = 1");
    const died = (await rejection(
      session.run("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"),
    )) as LazyclusterErrorType;
    expect(died.message).toMatch(/SIGSEGV|segmentation/i);
    expect(died.message).toMatch(/variables are gone/);
    expect(session.state).toBe("new");
    expect(await returns(session.run("'x' in globals()"))).toBe(false);
    expect(await rejection(session.run("import os; os._exit(7)"))).toMatchObject({ name: "TaskExecutionError" });
    expect(await returns(session.run("1 + 1"))).toBe(2);
  });

  it("runs nothing in an empty process that was sent to a filled one", async () => {
    const session = runtime.session("main");
    for (let delay = 0; delay < 20; delay++) {
      await session.run("x = 1");
      const dying = session.run("import os; os._exit(7)");
      const died = rejection(dying);
      await new Promise((resolve) => setTimeout(resolve, delay));
      const known = dying.task.error !== null;
      const error = (await rejection(session.run("x"))) as LazyclusterErrorType;
      expect(error.message).toMatch(known ? /NameError/ : /exit code 7.*variables are gone/);
      await died;
    }
    expect(await returns(session.run("1 + 1"))).toBe(2);
  });

  it("that went with its connection while nothing ran tells the next call", async () => {
    const session = runtime.session("main");
    await session.run("x = 1");
    const { agent } = await agentAndKeeper(host);
    process.kill(agent.outerPid, "SIGKILL");
    const reconnected = async (): Promise<boolean> => {
      const plain = runtime.executeTask(new RuntimeTask("plain").runCommand("true"));
      return plain.then(
        () => true,
        () => false,
      );
    };
    while (!(await reconnected()));
    const lost = (await rejection(session.run("x = 2"))) as LazyclusterErrorType;
    expect(lost.message).toMatch(/ended with the connection.*variables are gone/);
    expect(await returns(session.run("'x' in globals()"))).toBe(false);
  });

  it("is lost with its host, with one clear error, and the next call works", async () => {
    const session = runtime.session("main");
    await session.run("x = 1");
    const busy = session.run(started("lost", "import time; time.sleep(1000)"));
    await runs("lost");
    const failed = rejection(busy);
    const { agent } = await agentAndKeeper(host);
    process.kill(agent.outerPid, "SIGKILL");
    expect(await failed).toMatchObject({ code: "ERR_TASK_LOST" });
    expect(session.state).toBe("new");
    expect(await returns(session.run("'x' in globals()"))).toBe(false);
  });

  it("ends a call that takes too long, by an interrupt where that works", async () => {
    const session = runtime.session("main");
    await session.run("x = 1");
    const late = (await rejection(
      session.run("import time; time.sleep(1000)", { timeoutMs: 200 }),
    )) as LazyclusterErrorType;
    expect(late).toMatchObject({ code: "ERR_TASK_TIMEOUT" });
    expect(await returns(session.run("x"))).toBe(1);
    const stubborn = started(
      "stubborn",
      "import time\nwhile True:\n  try: time.sleep(1000)\n  except KeyboardInterrupt: pass",
    );
    const killed = (await rejection(session.run(stubborn, { timeoutMs: 200 }))) as LazyclusterErrorType;
    expect(killed.message).toMatch(/200 ms.*variables are gone/);
    expect(session.state).toBe("new");
    expect(await returns(session.run("'x' in globals()"))).toBe(false);
  });

  it("can be cancelled while it starts, waits and runs", async () => {
    const session = runtime.session("main");
    const first = session.run("x = 1");
    const failed = rejection(first);
    await first.cancel();
    // It may have been done already.
    await Promise.race([failed, first]);
    await session.run("x = 1");
    const busy = session.run(started("cancel", "import time; time.sleep(1000)"));
    await runs("cancel");
    const waits = session.run("x = 2");
    const [busyFailed, waitsFailed] = [rejection(busy), rejection(waits)];
    await waits.cancel();
    expect(await waitsFailed).toMatchObject({ code: "ERR_TASK_CANCELLED" });
    await busy.cancel();
    expect(await busyFailed).toMatchObject({ code: "ERR_TASK_CANCELLED" });
    expect(await returns(session.run("x"))).toBe(1);
  });

  it("may be one of ten on a host, each with its own variables", { timeout: 60_000 }, async () => {
    const sessions = Array.from({ length: 10 }, (_, index) => runtime.session(`s${String(index)}`));
    await Promise.all(sessions.map((session, index) => session.run(`x = ${String(index)}`)));
    const values = await Promise.all(sessions.map((session) => returns(session.run("x * x"))));
    expect(values).toEqual([0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
  });

  it("has a thousand calls that leave nothing", { timeout: 60_000 }, async () => {
    const session = runtime.session("main");
    await session.run("n = 0");
    const before = (await host.processes()).length;
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 100 }, () => session.run("n += 1")));
      runtime.clearTasks();
    }
    expect(await returns(session.run("n"))).toBe(1000);
    await eventually(async () => (await host.processes()).length <= before, 3000, "no more processes than before");
  });

  it("prints bytes, floods and background prints into its logs, in order", async () => {
    const session = runtime.session("main");
    const task = await session.run("import os\nos.system('echo sub')\nprint('x' * 100000)\nos.write(2, b'\\xff')");
    const log = task.executionLog[0]!;
    expect(log.startsWith("sub\n")).toBe(true);
    expect(log.length).toBeGreaterThan(100_000);
  });

  it("has plots and other shown objects as displays, also of a cell that fails", async () => {
    const session = runtime.session("main");
    const shown: unknown[] = [];
    const cell =
      "class Svg:\n    def _repr_svg_(self): return '<svg onload=\"alert(1)\"/>'\n    def __repr__(self): return 'an svg'";
    await session.run(cell);
    const execution = session.run("display(Svg())\n7");
    execution.task.on("display", ({ step, display }) => shown.push([step, display.repr]));
    const task = await execution;
    expect(await task.returns()).toEqual([7]);
    expect(shown).toEqual([[0, "an svg"]]);
    expect(task.displays.map(({ repr, type, host: where }) => [repr, type, where])).toEqual([
      ["an svg", "Svg", "host-1"],
    ]);
    const failing = session.run("display(Svg())\n1 / 0");
    await rejection(failing);
    expect(failing.task.displays.map(({ repr }) => repr)).toEqual(["an svg"]);
    await expect(failing.task.functionReturns.next()).rejects.toThrow(/ZeroDivisionError/);
    expect(await returns(session.run("Svg()", { result: "display" }))).toMatchObject({ repr: "an svg" });
    expect(await returns(session.run("5", { result: "display" }))).toMatchObject({ repr: "5" });
  });

  it("runs in the interpreter and the working directory that it was given", async () => {
    const session = runtime.session("main", { python: "/usr/bin/python3" });
    writeFileSync(join(host.dir, "tmp", "marker"), "");
    expect(
      await returns(session.run("import sys, os\n[sys.executable, os.getcwd() == os.environ['WORKING_DIR']]")),
    ).toEqual(["/usr/bin/python3", true]);
    expect(() => runtime.session("main", { python: "other" })).toThrow(InvalidArgumentError);
    expect(runtime.session("main")).toBe(session);
    const missing = runtime.session("missing", { python: "/no/such/python" });
    expect(((await rejection(missing.run("1"))) as Error).message).toMatch(/host-1.*\/no\/such\/python/);
  });

  it("refuses wrong arguments at the call", () => {
    const session = runtime.session("main");
    const bad = (work: () => unknown, says: RegExp): void => expect(work).toThrow(says);
    bad(() => runtime.session(""), /name/);
    bad(() => runtime.session("x", { python: "-c" }), /python/);
    bad(() => session.run(""), /code/);
    bad(() => session.run("1", { result: "ref" as "data" }), /result/);
    bad(() => session.run("1", { pty: true } as never), /pty/);
    bad(() => session.call("f" as never), /Python function/);
    bad(() => session.call(py`def f(): pass`, {}, { python: "x" } as never), /python/);
  });

  it("gives handles for what is not data, which other calls take", async () => {
    const session = runtime.session("main");
    const made = await returns(session.run("class A:\n    def __init__(self): self.n = 41\n\nA()"));
    expect(made).toMatchObject({ type: "A", host: "host-1" });
    expect(await returns(session.call(py`def n(a): return a.n + 1`, { a: made as never }))).toBe(42);
    expect(await returns(runtime.executeFunction(py`def n(a): return a.n + 2`, { a: made as never }))).toBe(43);
  });
});
