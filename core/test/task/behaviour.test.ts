/** What api.d.ts says of RuntimeTask and Runtime, on real hosts. */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts } from "../hosts";
import {
  Connection,
  type ConnectionType,
  GroupError,
  InvalidArgumentError,
  LazyclusterError,
  Runtime,
  RuntimeTask,
  type RuntimeType,
  TaskExecutionError,
  type Workspace,
  eventually,
  expectCleanHost,
  processesWith,
  py,
  pyModule,
  rejection,
  startManager,
  temporaryFolders,
  workspace,
} from "../support";

let hosts: TestHosts;
let host: TestHost;
let space: Workspace;
let runtime: RuntimeType;

beforeAll(async () => {
  hosts = await startHosts();
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
});
beforeEach(() => {
  runtime = new Runtime("host-1");
});
afterEach(async () => {
  await runtime.close();
  await expectCleanHost(host, 2000);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

/** A command that waits until the test lets it go on. */
const gate = (name: string): string => `until [ -e /tmp/${name} ]; do sleep 0.02; done; rm /tmp/${name}`;
const open = (name: string): void => writeFileSync(join(host.dir, "tmp", name), "");
const invalid = (message: RegExp): Error =>
  expect.objectContaining({
    name: "InvalidArgumentError",
    code: "ERR_INVALID_ARGUMENT",
    message: expect.stringMatching(message) as string,
  }) as Error;

describe("the execution log", () => {
  it("grows while it runs, one entry per started step", async () => {
    const task = new RuntimeTask("grows")
      .runCommand(`echo one; ${gate("a")}; echo two; ${gate("b")}`)
      .runCommand("true")
      .runCommand(gate("c"));
    expect(task.executionLog).toEqual([]);
    expect(task.executionLogFilePath).toBeNull();
    const execution = runtime.executeTask(task);
    await eventually(() => expect(task.executionLog).toEqual(["one\n"]), 5000);
    open("a");
    await eventually(() => expect(task.executionLog).toEqual(["one\ntwo\n"]), 5000);
    open("b");
    await eventually(() => expect(task.executionLog).toEqual(["one\ntwo\n", "", ""]), 5000);
    expect(task.state).toBe("running");
    expect(task.steps.map(({ state }) => state)).toEqual(["done", "done", "running"]);
    open("c");
    await execution;
    expect(task.executionLog).toEqual(["one\ntwo\n", "", ""]);
    expect(runtime.executionLog("grows")).toEqual(task.executionLog);
    expect(() => runtime.executionLog("unknown")).toThrow(invalid(/unknown/));
  });

  it("gives its bytes live by openLog, by step and stream, also to a reader that takes its time", async () => {
    const task = new RuntimeTask()
      .runCommand(`echo out1; echo err1 >&2; ${gate("a")}; echo out2; ${gate("b")}`)
      .runCommand("echo second");
    const execution = runtime.executeTask(task);
    const seen = new Map<string, string>();
    const follow = async (name: string, step?: number, stream?: "stdout" | "stderr"): Promise<void> => {
      seen.set(name, "");
      for await (const piece of task.openLog(step, stream)) {
        expect(Buffer.isBuffer(piece)).toBe(true);
        seen.set(name, `${seen.get(name)!}${piece.toString()}`);
      }
    };
    const readers = [
      follow("all"),
      follow("first", 0),
      follow("out", 0, "stdout"),
      follow("err", 0, "stderr"),
      follow("second", 1),
    ];
    // The slow one holds its first piece until more has been written.
    const slow: string[] = [];
    let hold: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (hold = resolve));
    const slowly = (async () => {
      for await (const piece of task.openLog(0, "stdout")) {
        slow.push(piece.toString());
        if (slow.length === 1) await held;
      }
    })();
    await eventually(
      () => expect([seen.get("out"), seen.get("err"), slow.length]).toEqual(["out1\n", "err1\n", 1]),
      5000,
    );
    open("a");
    await eventually(() => expect(seen.get("out")).toBe("out1\nout2\n"), 5000);
    hold();
    await eventually(() => expect(slow.join("")).toBe("out1\nout2\n"), 2000, "the slow reader");
    expect(task.state).toBe("running");
    open("b");
    await execution;
    await Promise.all([...readers, slowly]);
    expect(Object.fromEntries(seen)).toMatchObject({ out: "out1\nout2\n", err: "err1\n", second: "second\n" });
    expect(seen.get("all")).toBe(`${seen.get("first")!}second\n`);
    // And afterwards.
    await follow("later");
    expect(seen.get("later")).toBe(seen.get("all"));
    for await (const _piece of task.openLog()) break;
    expect(() => task.openLog(2)).toThrow(invalid(/no step/));
    expect(() => task.openLog(0, "stdin" as "stdout")).toThrow(invalid(/stream/));
    expect(() => new RuntimeTask().runCommand("true").openLog()).toThrow(LazyclusterError);
  });

  it("is told by events, in order, with one end", async () => {
    const task = new RuntimeTask().runCommand("printf 'a\\377'; echo b >&2").runCommand("echo c");
    const events: unknown[] = [];
    let out = Buffer.alloc(0);
    task.on("output", ({ stream, data }) => stream === "stdout" && (out = Buffer.concat([out, data])));
    task.on("step", ({ index, state }) => events.push(`${index} ${state}`));
    task.on("end", (end) => events.push(end));
    const never = (): void => void events.push("never");
    task.on("end", never).off("end", never);
    await runtime.executeTask(task);
    expect(out.equals(Buffer.from("a\xffc\n", "latin1"))).toBe(true);
    expect(events).toEqual(["0 running", "0 done", "1 running", "1 done", { state: "done", error: null }]);
  });
});

describe("function values", () => {
  const add = py`
  def add(a, b=1):
      print("adding")
      return a + b
  `;

  it("come early, before a later step ends; each access starts anew", async () => {
    const task = new RuntimeTask()
      .runFunction(add, { a: 1 })
      .runCommand(gate("a"))
      .runFunction(add, { b: 5 }, { args: [5] });
    const execution = runtime.executeTask(task);
    const values = task.functionReturns;
    expect(await values.next()).toEqual({ value: 2, done: false });
    expect(task.state).toBe("running");
    const second = values.next();
    open("a");
    expect(await second).toEqual({ value: 10, done: false });
    expect((await values.next()).done).toBe(true);
    await execution;
    expect(await task.returns()).toEqual([2, 10]);
    const again: unknown[] = [];
    for await (const value of task.functionReturns) again.push(value);
    for await (const value of runtime.functionReturns) again.push(value);
    expect(again).toEqual([2, 10, 2, 10]);
    expect(task.executionLog).toEqual(["adding\n", "", "adding\n"]);
  });

  it("that are all kinds of data arrive as they are", async () => {
    const echo = pyModule("copy", "deepcopy");
    const value = {
      text: "ü\0",
      list: [1, -1, 1.5, null, true],
      nested: { "": [] },
      big: 2n ** 100n,
      negative: -(2n ** 63n),
      inf: Infinity,
    };
    const bytes = Uint8Array.from([0, 255]);
    const task = new RuntimeTask()
      .runFunction(echo, {}, { args: [value] })
      .runFunction(echo, {}, { args: [bytes] })
      .runFunction(echo, {}, { args: [undefined] });
    await runtime.executeTask(task);
    const [same, raw, none] = await task.returns();
    expect(same).toEqual(value);
    expect(raw).toBeInstanceOf(Uint8Array);
    expect([...(raw as Uint8Array)]).toEqual([0, 255]);
    expect(none).toBeNull();
  });

  it("of a function that raises: TaskExecutionError with the user's own source lines", async () => {
    const bad = py`
    def helper(x):
        return 1 / x
    def bad():
        print("before")
        return helper(0)
    `;
    const task = new RuntimeTask().runFunction(add, { a: 1 }).runFunction(bad).runCommand("echo never");
    const error = (await rejection(runtime.executeTask(task))) as InstanceType<typeof TaskExecutionError>;
    expect(error).toBeInstanceOf(TaskExecutionError);
    expect(error).toMatchObject({
      stepIndex: 1,
      reason: "failed",
      host: "host-1",
      task,
      output: "before\n",
      logFile: task.executionLogFilePath,
    });
    for (const text of [error.message, error.remoteTraceback!]) {
      expect(text).toContain("return 1 / x");
      expect(text).toContain("ZeroDivisionError");
    }
    expect(error.remoteTraceback).not.toContain("lazycluster_agent");
    const values = task.functionReturns;
    expect((await values.next()).value).toBe(2);
    expect(await rejection(values.next())).toBe(error);
    expect(await rejection(task.returns())).toBe(error);
    expect(task.executionLog).toEqual(["adding\n", "before\n"]);
  });

  it("that are no data, or of a function that ends its process: one clear error", async () => {
    const weird = py`
    def weird():
        return [object()]
    `;
    const exit = py`
    def leave():
        import os
        os._exit(3)
    `;
    const killed = py`
    def killed():
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    `;
    for (const [fn, says] of [
      [weird, /\[0\] is a object/],
      [exit, /3/],
      [killed, /SIGKILL|9/],
    ] as const) {
      const task = new RuntimeTask().runFunction(fn, undefined, { result: "data" });
      const error = await rejection(runtime.executeTask(task));
      expect(error).toMatchObject({ reason: "failed", code: "ERR_TASK_FAILED" });
      expect((error as Error).message).toMatch(says);
      expect(task.state).toBe("failed");
    }
  });
});

describe("failures", () => {
  it("join() rejects the error again and again, also when nobody awaited the Execution", async () => {
    const task = new RuntimeTask("bad").runCommand("echo output; echo trouble >&2; exit 7").runCommand("echo never");
    void runtime.executeTask(task);
    const error = (await rejection(task.join())) as InstanceType<typeof TaskExecutionError>;
    expect(error).toMatchObject({
      exitCode: 7,
      signal: null,
      stepIndex: 0,
      reason: "failed",
      code: "ERR_TASK_FAILED",
      host: "host-1",
    });
    expect(error.output.split("\n").sort()).toEqual(["", "output", "trouble"]);
    expect(error.message).toMatch(/^host-1: task "bad", step 0 .*exit code 7/);
    expect(await rejection(task.join())).toBe(error);
    expect(task.error).toBe(error);
    expect(await rejection(runtime.join())).toBe(error);
    const other = new RuntimeTask().runCommand("kill -SEGV $$");
    expect(await rejection(runtime.executeTask(other))).toMatchObject({ exitCode: null, signal: "SIGSEGV" });
    const both = await rejection(runtime.join());
    expect(both).toBeInstanceOf(GroupError);
    expect(both).toMatchObject({
      results: [
        { task, error },
        { task: other, error: other.error },
      ],
    });
  });

  it("that nobody awaited are told, and keep nothing of their tasks", async () => {
    const script = startManager(
      `
      const runtime = new Runtime("host-1");
      const start = (name) => {
        const task = new RuntimeTask(name).runCommand("exit 3");
        const ended = new Promise((resolve) => task.on("end", () => resolve(new WeakRef(task))));
        runtime.executeTask(task);
        return ended;
      };
      const references = await Promise.all(Array.from({ length: 23 }, (_, index) => start("no" + index)));
      runtime.clearTasks();
      const left = () => references.filter((reference) => reference.deref() !== undefined).length;
      for (let turn = 0; turn < 200 && left() > 0; turn += 1) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        gc();
      }
      say("left", left());
      await runtime.close();
      `,
      { env: space.env, nodeArgs: ["--expose-gc"] },
    );
    expect(await script.hear("left", 30_000)).toBe(0);
    const { code, stderr } = await script.exited;
    expect(stderr.match(/^lazycluster: nobody awaited this failure: host-1: task "no\d+"/gm)).toHaveLength(20);
    expect(stderr).toMatch(/\nlazycluster: nobody awaited 3 more failures\n$/);
    expect(code).toBe(0);
  });

  it("that nobody awaited are no unhandled rejection, but one line on stderr at the end", async () => {
    const script = startManager(
      `
      const runtime = new Runtime("host-1");
      const tasks = ["lost sight of", "joined", "awaited", "caught"].map((name) => new RuntimeTask(name).runCommand("exit 3"));
      const executions = tasks.map((task) => runtime.executeTask(task));
      await executions[2].catch(() => undefined);
      executions[3].then(undefined, () => undefined);
      await tasks[1].join().catch(() => undefined);
      await tasks[0].process.join();
      await runtime.close();
      `,
      { env: space.env },
    );
    const { code, stdout, stderr } = await script.exited;
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^lazycluster: nobody awaited this failure: host-1: task "lost sight of".*\n$/);
    expect(code).toBe(0);
  });

  it("check: false lets a task go on after a non-zero exit", async () => {
    const task = new RuntimeTask()
      .runCommand("exit 9", { check: false })
      .runCommand("kill -9 $$", { check: false })
      .runCommand("echo on");
    await runtime.executeTask(task);
    expect(task.steps.map(({ exitCode, signal, state }) => [exitCode, signal, state])).toEqual([
      [9, null, "done"],
      [null, "SIGKILL", "done"],
      [0, null, "done"],
    ]);
    expect(task.process).toMatchObject({ exitCode: 0, alive: false, state: "done", host: "host-1", kind: "task" });
  });

  it("a command that is too long for the host or the wire: one clear error, and the connection goes on", async () => {
    for (const size of [200_000, 3_000_000]) {
      const error = await rejection(runtime.executeTask(new RuntimeTask().runCommand(`true ${"x".repeat(size)}`)));
      expect(error).toMatchObject({ reason: "failed", host: "host-1" });
      expect((error as Error).message.length).toBeLessThan(2000);
    }
    await runtime.executeTask(new RuntimeTask().runCommand("true"));
  });
});

describe("options of a command", () => {
  it("stdin is read to its end; without, the end comes at once; who does not read it does not hang", async () => {
    const big = "x".repeat(5_000_000);
    const task = new RuntimeTask()
      .runCommand("cat | wc -c", { stdin: big })
      .runCommand("cat | od -c | head -1", { stdin: Uint8Array.from([0, 255, 10]) })
      .runCommand("cat; echo end")
      .runCommand("head -c 1; echo", { stdin: big });
    await runtime.executeTask(task);
    expect(task.executionLog).toEqual(["5000000\n", "0000000  \\0 377  \\n\n", "end\n", "x\n"]);
  });

  it("pty gives a terminal, in which stderr arrives as stdout", async () => {
    const task = new RuntimeTask()
      .runCommand("test -t 1 && test -t 2 && echo terminal; echo err >&2", { pty: true })
      .runCommand("test -t 1 || echo none")
      .runCommand('read line; echo "got $line"', { pty: true, stdin: "typed\n" });
    await runtime.executeTask(task);
    expect(task.executionLog[0]).toBe("terminal\r\nerr\r\n");
    expect(task.executionLog[1]).toBe("none\n");
    expect(task.executionLog[2]).toContain("got typed\r\n");
    for await (const _piece of task.openLog(0, "stderr")) expect.unreachable();
  });

  it("debug prints to the manager's stdout as it arrives", async () => {
    const script = startManager(
      `
      await new Runtime("host-1").use(async (runtime) => {
        await runtime.executeTask(new RuntimeTask().runCommand("echo loud; echo louder >&2"), { debug: true });
        await runtime.executeTask(new RuntimeTask().runCommand("echo silent"));
      });
      `,
      { env: space.env },
    );
    const { stdout } = await script.exited;
    expect(stdout.split("\n").sort()).toEqual(["", "loud", "louder"]);
  });
});

describe("environment", () => {
  it("a task's variables win over the Runtime's; WORKING_DIR is always the working directory", async () => {
    const owner = new Runtime("host-1", { env: { A: "runtime", B: "runtime", WORKING_DIR: "wrong" } });
    owner.addEnvVariables({ C: "added" });
    const task = new RuntimeTask().runCommand('echo $A $B $C "$WORKING_DIR"; pwd');
    task.envVariables = { B: "task", WORKING_DIR: "wrong too" };
    await owner.executeTask(task);
    const dir = await owner.workingDir;
    expect(task.executionLog).toEqual([`runtime task added ${dir}\n${dir}\n`]);
    owner.envVariables = { D: "replaced" };
    const later = await owner.executeTask(new RuntimeTask().runCommand('echo "[$A][$D]"'));
    expect(later.executionLog).toEqual(["[][replaced]\n"]);
    expect(owner.envVariables).toEqual({ D: "replaced" });
    const seen = py`
    def seen():
        import os
        return [os.environ.get("D"), os.environ["WORKING_DIR"] == os.getcwd()]
    `;
    expect(await (await owner.executeFunction(seen)).returns()).toEqual([["replaced", true]]);
    await owner.close();
  });

  it("loginEnv shows a login shell's variables, read once per connection", async () => {
    writeFileSync(
      join(host.dir, "home", ".profile"),
      "echo noise; export FROM_PROFILE='a b'; echo x >> ~/profile-ran\n",
    );
    try {
      const owner = new Runtime("host-1", { loginEnv: true });
      const tasks = [1, 2, 3].map(() => new RuntimeTask().runCommand('echo "$FROM_PROFILE"'));
      await Promise.all(tasks.map((task) => owner.executeTask(task)));
      for (const task of tasks) expect(task.executionLog).toEqual(["a b\n"]);
      expect(readFileSync(join(host.dir, "home", "profile-ran"), "utf8")).toBe("x\n");
      const plain = await runtime.executeTask(new RuntimeTask().runCommand('echo "$FROM_PROFILE"'));
      expect(plain.executionLog).toEqual(["\n"]);
      await owner.close();
    } finally {
      await host.exec(["sh", "-c", "rm -f ~/.profile ~/profile-ran"]);
    }
  });
});

describe("a Runtime", () => {
  it("joins all tasks but those to be omitted, and forgets those that ended", async () => {
    const long = new RuntimeTask("long").runCommand("sleep 6001");
    const execution = runtime.executeTask(long, { omitOnJoin: true });
    const failure = rejection(execution);
    expect(long.omitOnJoin).toBe(true);
    const short = new RuntimeTask("short").runCommand("true");
    void runtime.executeTask(short);
    await runtime.join();
    await long.join();
    expect([short.state, long.state]).toEqual(["done", "running"]);
    expect(runtime.taskProcesses.map(({ alive }) => alive)).toEqual([true, false]);
    expect([...runtime.getProcesses().values()].map(({ state }) => state)).toEqual(["running", "done"]);
    expect(runtime.getProcesses(true).size).toBe(1);
    expect([runtime.aliveProcessCount, runtime.aliveTaskProcessCount]).toEqual([1, 1]);
    runtime.clearTasks();
    expect(runtime.getProcesses().size).toBe(1);
    const key = long.process!.key;
    expect([
      runtime.isRuntimeTaskProcess(key),
      Runtime.isRuntimeTaskProcess(key),
      Runtime.isPortExposureProcess(key),
    ]).toEqual([true, true, false]);
    const [remote] = await processesWith(host, "sleep 6001");
    await eventually(() => expect(long.process!.pid).toBe(remote!.pid), 2000);
    expect(runtime.getProcess(key).pid).toBe(remote!.pid);
    await runtime.stopProcess(key);
    await processesWith(host, "sleep 6001", 0);
    expect(await failure).toMatchObject({ reason: "cancelled" });
    expect(() => runtime.getProcess("nothing")).toThrow(invalid(/nothing/));
    expect(await rejection(runtime.stopProcess("nothing"))).toBeInstanceOf(InvalidArgumentError);
    runtime.clearTasks();
    expect(runtime.getProcesses().size).toBe(0);
  });

  it("join with a signal ends the waiting only", async () => {
    const task = new RuntimeTask().runCommand(gate("a"));
    const execution = runtime.executeTask(task);
    const reason = new Error("enough");
    const abort = new AbortController();
    const waiting = rejection(task.join({ signal: abort.signal }));
    abort.abort(reason);
    expect(await waiting).toBe(reason);
    expect(task.state).toBe("running");
    open("a");
    await execution;
  });

  it("clones a task by name, with steps, variables and flags, and nothing executed", async () => {
    const task = new RuntimeTask("origin").runCommand('echo "$X"');
    task.envVariables = { X: "x" };
    task.omitOnJoin = true;
    await runtime.executeTask(task);
    const clones = [task.clone(), task.clone()];
    expect(clones.map(({ name }) => name)).toEqual(["origin-1", "origin-2"]);
    for (const clone of clones)
      expect(clone).toMatchObject({
        state: "new",
        omitOnJoin: true,
        executionLog: [],
        host: null,
        envVariables: { X: "x" },
      });
    clones[0]!.runCommand("echo more");
    expect(task.steps).toHaveLength(1);
    await Promise.all(clones.map((clone) => runtime.executeTask(clone)));
    expect(clones.map(({ executionLog }) => executionLog)).toEqual([["x\n", "more\n"], ["x\n"]]);
    expect(new RuntimeTask().name).not.toBe(new RuntimeTask().name);
  });

  it("makes and removes directories; temporary ones go at cleanup", async () => {
    const [first, second] = await Promise.all([runtime.createTempdir(), runtime.createTempdir()]);
    const other = new Runtime("host-1");
    const theirs = await other.createTempdir();
    expect(new Set([first, second, theirs]).size).toBe(3);
    for (const dir of [first, second, theirs])
      expect((await host.exec(["stat", "-c", "%a %F", dir])).stdout).toBe("700 directory\n");
    await runtime.createDir("a/b c/d");
    await runtime.createDir("a/b c/d");
    const dir = await runtime.workingDir;
    expect(existsSync(join(host.dir, dir, "a", "b c", "d"))).toBe(true);
    expect(await runtime.deleteDir("a")).toBe(true);
    expect(await runtime.deleteDir("a")).toBe(false);
    expect(await runtime.deleteDir("/proc/self")).toBe(false);
    expect(await rejection(runtime.createDir("/proc/nothing/here"))).toMatchObject({
      name: "PathCreationError",
      host: "host-1",
      path: "/proc/nothing/here",
    });
    await runtime.createDir("/tmp/kept");
    await runtime.cleanup();
    for (const gone of [first, second, dir]) expect(existsSync(join(host.dir, gone))).toBe(false);
    expect(existsSync(join(host.dir, theirs))).toBe(true);
    expect(existsSync(join(host.dir, "tmp", "kept"))).toBe(true);
    expect(await other.deleteDir("/tmp/kept")).toBe(true);
    await other.close();
    // Nobody waits for the last moments of an agent that has nothing to end.
    await eventually(() => expect(temporaryFolders(host)).toEqual([]), 2000);
  });

  it("keeps a given working directory, and changes it from now on", async () => {
    const owner = new Runtime("host-1", { workingDir: "~/kept dir/sub" });
    expect(await owner.workingDir).toBe(`${host.home}/kept dir/sub`);
    await owner.executeTask(new RuntimeTask().runCommand("touch file"));
    await owner.setWorkingDir("/tmp/elsewhere");
    const task = await owner.executeTask(new RuntimeTask().runCommand("pwd"));
    expect(task.executionLog).toEqual(["/tmp/elsewhere\n"]);
    expect(await rejection(owner.setWorkingDir("/proc/nothing"))).toMatchObject({ name: "PathCreationError" });
    expect(await owner.workingDir).toBe("/tmp/elsewhere");
    await owner.close();
    expect(existsSync(join(host.dir, "home", "kept dir", "sub", "file"))).toBe(true);
    expect(await runtime.deleteDir("~/kept dir")).toBe(true);
    expect(await runtime.deleteDir("/tmp/elsewhere")).toBe(true);
  });

  it("is used again after close(), in a new temporary directory; use() closes whatever happens", async () => {
    const dirs: string[] = [];
    for (let round = 0; round < 3; round++) {
      dirs.push(await runtime.workingDir);
      const task = await runtime.executeTask(new RuntimeTask().runCommand("ls; touch left"));
      expect(task.executionLog).toEqual([""]);
      await runtime.close();
      await runtime.close();
      await expectCleanHost(host, 2000);
    }
    expect(new Set(dirs).size).toBe(3);
    expect(
      await runtime.use(
        async (same) => (await same.executeTask(new RuntimeTask().runCommand("setsid sleep 6002 & true"))).state,
      ),
    ).toBe("done");
    await expectCleanHost(host, 2000);
    const failure = new Error("mine");
    expect(
      await rejection(
        runtime.use(async (same) => {
          await same.workingDir;
          throw failure;
        }),
      ),
    ).toBe(failure);
    await expectCleanHost(host, 2000);
  });

  it("does not touch the processes and folders of another Runtime on the same host", async () => {
    const other = new Runtime("host-1");
    const theirs = new RuntimeTask().runCommand("setsid sleep 6003 & echo ready; sleep 6003; echo survived");
    const execution = other.executeTask(theirs);
    await other.executeTask(new RuntimeTask().runCommand("setsid sleep 6004 & touch file"));
    await runtime.executeTask(new RuntimeTask().runCommand("setsid sleep 6005 & true"));
    await processesWith(host, "sleep 6003", 2);
    const before = await processesWith(host, /^sleep 600[34]$/, 3);
    await runtime.close();
    await processesWith(host, "sleep 6005", 0);
    expect((await processesWith(host, /^sleep 600[34]$/, 3)).map(({ pid }) => pid).sort()).toEqual(
      before.map(({ pid }) => pid).sort(),
    );
    expect((await other.executeTask(new RuntimeTask().runCommand("ls"))).executionLog).toEqual(["file\n"]);
    expect(theirs.state).toBe("running");
    const failure = rejection(execution);
    await other.close();
    await failure;
  });

  it("that nobody holds any more does not take its running task with it", async () => {
    const script = startManager(
      `
      const run = () => new Runtime("host-1").executeTask(new RuntimeTask("orphan").runCommand(input));
      const execution = run();
      say("started");
      for (let round = 0; round < 20; round++) { global.gc(); await new Promise((resolve) => setTimeout(resolve, 25)); }
      say("collected");
      const task = await execution;
      say("ended", [task.state, task.executionLog]);
      `,
      { env: space.env, nodeArgs: ["--expose-gc"], input: `${gate("a")}; echo end` },
    );
    await script.hear("collected");
    open("a");
    expect(await script.hear("ended", 5000)).toEqual(["done", ["end\n"]]);
    expect((await script.exited).code).toBe(0);
  });

  it("connects by Runtime.connect, which also makes the working directory", async () => {
    const owner = await Runtime.connect("host-1", { workingDir: "/tmp/made/at/connect" });
    expect(existsSync(join(host.dir, "tmp", "made", "at", "connect"))).toBe(true);
    // Row `class_name`.
    expect(owner.className).toBe("Runtime");
    expect(await owner.isValidRuntime()).toBe(true);
    expect(await rejection(Runtime.connect("host-1", { workingDir: "/proc/nothing" }))).toMatchObject({
      name: "PathCreationError",
    });
    expect(await owner.deleteDir("/tmp/made")).toBe(true);
    await owner.close();
  });

  it("gives the variables and the last 64 KiB of output to the error of a step", async () => {
    const error = (await rejection(
      runtime.executeTask(new RuntimeTask().runCommand("seq 1 100000; exit 1")),
    )) as InstanceType<typeof TaskExecutionError>;
    const all = Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join("");
    expect(error.output).toBe(all.slice(-64 * 1024));
  });
});

describe("a bare Connection", () => {
  let connection: ConnectionType;

  it("runs tasks in the login directory or its own, and ends what still runs", async () => {
    connection = await Connection.open("host-1");
    expect(connection).toMatchObject({ host: "host-1", transport: "ssh2", closed: false, workingDir: "" });
    const task = new RuntimeTask().runCommand('pwd; echo "$WORKING_DIR"');
    await task.execute(connection);
    expect(task.executionLog).toEqual([`${host.home}\n${host.home}\n`]);
    mkdirSync(join(host.dir, "home", "sub dir"));
    connection.workingDir = "sub dir";
    await task.execute(connection);
    expect(task.executionLog[0]!.split("\n")[0]).toBe(`${host.home}/sub dir`);
    expect(task.executionLog[0]!.split("\n")[1]).toBe(`${host.home}/sub dir`);
    const running = new RuntimeTask().runCommand("sleep 6006");
    const failure = rejection(running.execute(connection));
    await processesWith(host, "sleep 6006");
    await connection.close();
    expect(connection.closed).toBe(true);
    expect(await failure).toMatchObject({ name: "TaskExecutionError", reason: "cancelled" });
    expect(running.state).toBe("cancelled");
    expect(() => task.execute(connection)).toThrow(LazyclusterError);
    await host.exec(["rmdir", `${host.home}/sub dir`]);
  });
});

describe("wrong arguments throw InvalidArgumentError at the call", () => {
  const bad = (work: () => unknown, says: RegExp): void => expect(work).toThrow(invalid(says));
  const any = (value: unknown): never => value as never;

  it("of tasks", () => {
    const task = new RuntimeTask("t").runCommand("true");
    bad(() => new RuntimeTask(""), /name/);
    bad(() => new RuntimeTask("a\0b"), /NUL/);
    bad(() => new RuntimeTask(any(7)), /name/);
    bad(() => task.runCommand(""), /command/);
    bad(() => task.runCommand(any(undefined)), /command/);
    bad(() => task.runCommand("a\0b"), /NUL/);
    bad(() => task.runCommand("a", any({ timeout: 3 })), /timeout/);
    bad(() => task.runCommand("a", { timeoutMs: 0 }), /timeoutMs/);
    bad(() => task.runCommand("a", { timeoutMs: NaN }), /timeoutMs/);
    bad(() => task.runCommand("a", { timeoutMs: Infinity }), /timeoutMs/);
    bad(() => task.runCommand("a", any({ pty: "yes" })), /pty/);
    bad(() => task.runCommand("a", any({ check: 0 })), /check/);
    bad(() => task.runCommand("a", any({ stdin: 7 })), /stdin/);
    bad(() => task.runCommand("a", any(null)), /options/);
    bad(() => task.runFunction(Math.max), /built in/);
    bad(() => task.runFunction(any("def f(): pass")), /runFunction/);
    const f = py`def f(x): return x`;
    bad(() => task.runFunction(f, any([1])), /keyword/);
    bad(() => task.runFunction(f, { x: any(Symbol("x")) }), /./);
    bad(() => task.runFunction(f, { x: any(() => 1) }), /./);
    bad(() => task.runFunction(f, {}, any({ args: 7 })), /args/);
    bad(() => task.runFunction(f, {}, { python: "-c" }), /python/);
    const circle: unknown[] = [];
    circle.push(circle);
    bad(() => task.runFunction(f, { x: any(circle) }), /./);
    bad(() => task.getFile(""), /remote/);
    bad(() => task.getFile(".."), /name/);
    bad(() => task.getFile("a\0"), /NUL/);
    bad(() => task.sendFile(""), /local/);
    bad(() => task.sendFile("/etc/hostname", ""), /remote/);
    bad(() => void (task.envVariables = { "A=B": "x" }), /A=B/);
    bad(() => void (task.envVariables = { A: any(7) }), /A/);
    bad(() => void (task.envVariables = { A: "x\0" }), /NUL/);
    bad(() => void (task.envVariables = any(null)), /envVariables/);
    bad(() => task.execute(any({})), /Connection/);
    bad(() => py`no function here`, /function/);
    expect(task.steps).toHaveLength(1);
  });

  it("of runtimes", async () => {
    bad(() => new Runtime(""), /host/);
    bad(() => new Runtime("-oProxyCommand=x"), /host/);
    bad(() => new Runtime("a b"), /./);
    bad(() => new Runtime("h", any({ nonsense: 1 })), /nonsense/);
    bad(() => new Runtime("h", { leaseMs: 10 }), /leaseMs/);
    // Seconds, by mistake: every host would be lost at once.
    for (const keepaliveIntervalMs of [30, 999, -1, NaN, any("1000")])
      bad(() => new Runtime("h", { connection: { keepaliveIntervalMs } }), /keepaliveIntervalMs.*from 1000 on, or 0/);
    for (const keepaliveIntervalMs of [0, 1000, 60_000]) new Runtime("h", { connection: { keepaliveIntervalMs } });
    bad(() => new Runtime("h", { python: "" }), /python/);
    bad(() => new Runtime("h", { python: "a\nb" }), /python/);
    bad(() => new Runtime("h", { workingDir: "a\0" }), /workingDir/);
    bad(() => new Runtime("h", { env: { "1A": "x" } }), /1A/);
    bad(() => new Runtime("h", any({ transport: "telnet" })), /telnet/);
    bad(() => new Runtime("h", { connection: any({ nonsense: 1 }) }), /nonsense/);
    bad(() => new Runtime("h", { connection: { port: 70_000 } }), /port/);
    bad(() => new Runtime("h", { connection: any({ strictHostKeyChecking: "no" }) }), /strict/);
    bad(() => runtime.executeTask(any("task")), /RuntimeTask/);
    bad(() => runtime.executeTask(new RuntimeTask()), /no steps/);
    bad(() => runtime.executeTask(new RuntimeTask().runCommand("true"), any({ debug: 1 })), /debug/);
    bad(() => runtime.executeTask(new RuntimeTask().runCommand("true"), any({ signal: {} })), /signal/);
    bad(() => runtime.executeTask(new RuntimeTask().runCommand("true"), any({ nonsense: 1 })), /nonsense/);
    bad(() => void (runtime.envVariables = { "": "x" }), /./);
    for (const work of [
      runtime.createDir(""),
      runtime.deleteDir("a\0"),
      runtime.setWorkingDir(any(null)),
      Connection.open(""),
    ]) {
      expect(await rejection(work)).toBeInstanceOf(InvalidArgumentError);
    }
    expect(runtime.taskProcesses).toEqual([]);
  });
});

describe("localhost, without an sshd", () => {
  it("does the same, and nothing of it stays", async () => {
    const home = space.path("temporary");
    mkdirSync(home);
    const script = startManager(
      `
      const runtime = new Runtime("localhost");
      const there = py\`
      def there(x):
          import os
          return [x, os.getcwd() == os.environ["WORKING_DIR"]]
      \`;
      require("fs").writeFileSync(input + "/file", "content");
      const task = new RuntimeTask().runCommand("setsid sleep 6101 & echo hello").runFunction(there, { x: 1 }).sendFile(input + "/file").getFile("file", input + "/back");
      await runtime.executeTask(task);
      say("done", [task.executionLog[0], await task.returns(), require("fs").readFileSync(input + "/back", "utf8")]);
      say("pid", task.process.pid);
      runtime.executeTask(new RuntimeTask().runCommand("setsid sleep 6102 & sleep 6103")).catch(() => undefined);
      await heard();
      `,
      { env: { ...space.env, TMPDIR: home }, input: home },
    );
    expect(await script.hear("done")).toEqual(["hello\n", [[1, true]], "content"]);
    const ours = (): string[] =>
      readdirSync("/proc").filter((pid) => {
        try {
          return (
            readFileSync(`/proc/${pid}/environ`, "latin1").includes(`TMPDIR=${home}`) && Number(pid) !== script.pid
          );
        } catch {
          return false;
        }
      });
    await eventually(() => expect(ours().length).toBeGreaterThanOrEqual(6), 5000);
    script.kill("SIGKILL");
    await eventually(() => {
      expect(ours()).toEqual([]);
      // The control socket of a manager that was killed is removed by the next one.
      expect(
        readdirSync(home).filter(
          (name) => !["file", "back"].includes(name) && !name.startsWith("lazycluster-control-"),
        ),
      ).toEqual([]);
    }, 2000);
    await script.exited;
    const next = startManager(
      `await new Runtime("localhost").use((runtime) => runtime.executeTask(new RuntimeTask().runCommand("true")));`,
      { env: { ...space.env, TMPDIR: home } },
    );
    expect((await next.exited).code).toBe(0);
    expect(readdirSync(home).sort()).toEqual(["back", "file"]);
  });
});

describe("a script", () => {
  it("that does not close anything ends promptly when nothing is left to do, and leaves nothing", async () => {
    const home = space.path("temporary");
    mkdirSync(home);
    const script = startManager(
      `
      const runtime = new Runtime("host-1");
      await runtime.createTempdir();
      await runtime.executeTask(new RuntimeTask().runCommand("setsid sleep 6201 & true"));
      const connection = await Connection.open("host-1");
      await new RuntimeTask().runCommand("true").execute(connection);
      say("done");
      `,
      { env: { ...space.env, TMPDIR: home } },
    );
    await script.hear("done");
    const start = performance.now();
    expect(await script.exited).toMatchObject({ code: 0, stderr: "", stdout: "" });
    expect(performance.now() - start).toBeLessThan(2500);
    await expectCleanHost(host, 2000);
    expect(readdirSync(home)).toEqual([]);
  });

  it("that only starts a task stays until the task has ended", async () => {
    const script = startManager(
      `new Runtime("host-1").executeTask(new RuntimeTask("alone").runCommand("sleep 1; echo end > /tmp/alone"));`,
      { env: space.env },
    );
    expect(await script.exited).toMatchObject({ code: 0, stderr: "" });
    expect(readFileSync(join(host.dir, "tmp", "alone"), "utf8")).toBe("end\n");
    await host.exec(["rm", "/tmp/alone"]);
  });

  it("that only imports the library ends at once and starts nothing", async () => {
    const script = startManager(`new Runtime("host-1"); new RuntimeTask("t").runCommand("true");`, {
      env: { ...space.env, LAZYCLUSTER_STATE_DIR: space.path("none") },
    });
    expect(await script.exited).toMatchObject({ code: 0, stderr: "", stdout: "" });
  });
});
