/** Rows of API.md: RuntimeGroup, but for its ports. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts, unless } from "../hosts";
import {
  pythonOf,
  Environment,
  GroupError,
  type GroupErrorType,
  InvalidArgumentError,
  NoRuntimesDetectedError,
  Runtime,
  RuntimeGroup,
  type RuntimeGroupType,
  RuntimeTask,
  TaskExecutionError,
  type TaskExecutionErrorType,
  type Workspace,
  eventually,
  expectCleanHost,
  printed,
  processesWith,
  py,
  rejection,
  workspace,
} from "../support";

const HOSTS = ["host-1", "host-2", "host-3"];
let hosts: TestHosts;
let space: Workspace;
let group: RuntimeGroupType;

beforeAll(async () => {
  hosts = await startHosts({ count: 3, pythons: true });
  space = workspace(hosts.configFile);
});
beforeEach(() => (group = new RuntimeGroup(...HOSTS)));
afterEach(async () => {
  await group.close();
  for (const host of hosts.hosts) await expectCleanHost(host, 2000);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

const host = (index: number): TestHost => hosts.hosts[index]!;
const hostname = (): InstanceType<typeof RuntimeTask> => new RuntimeTask("hostname").runCommand("echo $NAME; hostname");
/** A command that waits until the test lets it go on. */
const gate = (name: string): string => `until [ -e /tmp/${name} ]; do sleep 0.02; done; rm /tmp/${name}`;
const open = (index: number, name: string): void => writeFileSync(join(host(index).dir, "tmp", name), "");
const invalid = expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }) as Error;

describe("RuntimeGroup(runtimes, hosts, workingDir)", () => {
  it("is made of runtimes, or of hosts with options for all; either, never both or none", async () => {
    const [first, second] = [new Runtime("host-1"), new Runtime("host-2", { workingDir: "/tmp/second" })];
    for (const made of [new RuntimeGroup([first, second]), new RuntimeGroup({ runtimes: [first, second] })]) {
      expect(made.hosts).toEqual(["host-1", "host-2"]);
      expect(made.runtimes).toEqual([first, second]);
      expect(made.runtimeCount).toBe(2);
    }
    const same = new RuntimeGroup({ hosts: HOSTS, workingDir: "~/group dir", env: { NAME: "x" } });
    expect(same.hosts).toEqual(HOSTS);
    expect(same.runtimes.map(({ envVariables }) => envVariables)).toEqual(HOSTS.map(() => ({ NAME: "x" })));
    const dirs = await Promise.all(same.runtimes.map((runtime) => runtime.workingDir));
    expect(dirs).toEqual(hosts.hosts.map(({ home }) => `${home}/group dir`));
    await Promise.all(same.runtimes.map((runtime) => runtime.deleteDir("~/group dir")));
    await same.close();
    for (const wrong of [
      [],
      [[]],
      [{}],
      [{ runtimes: [first], hosts: ["host-2"] }],
      [{ runtimes: [first], workingDir: "/x" }],
      [{ hosts: "host-1" }],
      [{ hosts: [] }],
      [{ hosts: ["host-1"], working: "/x" }],
      [{ hosts: ["host-1", "-oProxyCommand=x"] }],
      ["host-1", "host-1"],
      [first, 3],
      [[first, "host-1"]],
      [null],
    ])
      expect(() => Reflect.construct(RuntimeGroup, wrong) as unknown, JSON.stringify(wrong.length)).toThrow(invalid);
  });

  const nine = pythonOf(9);
  it("has one Python for all members by `python`", unless(!nine && "no Python 3.9 here"), async () => {
    const python = nine ?? "";
    await new RuntimeGroup({ hosts: HOSTS, python }).use(async (old) => {
      const fn = py`
def version():
    import sys
    return list(sys.version_info[:2])
`;
      const tasks = await old.executeTask(new RuntimeTask().runFunction(fn), { broadcast: true });
      expect(await Promise.all(tasks.map((task) => task.returns()))).toEqual(HOSTS.map(() => [[3, 9]]));
      expect(await Promise.all(old.runtimes.map((runtime) => runtime.pythonVersion))).toEqual(
        HOSTS.map(() => expect.stringMatching(/^3\.9\./) as string),
      );
    });
  });
});

describe("members", () => {
  it("addRuntime, removeRuntime, containsRuntime, getRuntime, getRuntimes", async () => {
    const made = new RuntimeGroup("host-1");
    const second = new Runtime("host-2");
    made.addRuntime(second);
    made.addRuntime("host-3");
    expect(made.hosts).toEqual(HOSTS);
    expect(made.getRuntime("host-2")).toBe(second);
    expect([made.containsRuntime("host-2"), made.containsRuntime("host-9")]).toEqual([true, false]);
    expect(() => made.addRuntime("host-2")).toThrow(/already/);
    expect(() => made.getRuntime("host-9")).toThrow(invalid);
    expect([...made.getRuntimes().keys()]).toEqual(HOSTS);
    expect([...made.getRuntimes("host-2").keys()]).toEqual(["host-2"]);
    expect([...made.getRuntimes(["host-3", "host-1"]).keys()]).toEqual(["host-1", "host-3"]);
    expect([...made.getRuntimes(undefined, "host-2").keys()]).toEqual(["host-1", "host-3"]);
    expect(() => made.getRuntimes("host-1", "host-2")).toThrow(invalid);
    expect(() => made.getRuntimes("host-9")).toThrow(invalid);
    expect(() => made.getRuntimes(undefined, ["host-9"])).toThrow(invalid);

    // What runs there goes on.
    const execution = made.executeTask(new RuntimeTask().runCommand(gate("go")), { host: "host-2" });
    made.removeRuntime("host-2");
    expect(made.hosts).toEqual(["host-1", "host-3"]);
    expect(second.aliveTaskProcessCount).toBe(1);
    open(1, "go");
    await execution;
    const warnings: string[] = [];
    const { logger } = Environment;
    Environment.logger = { ...logger, warn: (message) => warnings.push(message) };
    made.removeRuntime("host-2");
    Environment.logger = logger;
    expect(warnings).toEqual([expect.stringMatching(/'host-2' is not in the group; it has host-1, host-3/)]);
    made.removeRuntime("host-1");
    made.removeRuntime("host-3");
    expect(() => made.getRuntime()).toThrow(NoRuntimesDetectedError);
    expect(() => made.executeTask(hostname(), { broadcast: true })).toThrow(NoRuntimesDetectedError);
    await second.close();
  });

  it("setEnvVariables replaces, addEnvVariables merges, on every host", async () => {
    group.setEnvVariables({ NAME: "one", OTHER: "x" });
    group.setEnvVariables({ NAME: "two words" });
    group.addEnvVariables({ MORE: "y" });
    expect(group.runtimes.map(({ envVariables }) => envVariables)).toEqual(
      HOSTS.map(() => ({ NAME: "two words", MORE: "y" })),
    );
    const tasks = await group.executeTask(hostname(), { broadcast: true });
    expect(tasks.map((task) => task.executionLog[0])).toEqual(
      HOSTS.map(() => expect.stringMatching(/^two words\n/) as string),
    );
    expect(() => group.setEnvVariables({ "A=B": "x" })).toThrow(invalid);
    expect(() => group.addEnvVariables({ A: 1 } as never)).toThrow(invalid);
  });

  it("printHosts, printRuntimeInfo, fillRuntimeInfoBuffersAsync", async () => {
    expect(await printed(() => group.printHosts())).toBe("host-1\nhost-2\nhost-3\n");
    await host(1).stopSshd();
    try {
      await group.fillRuntimeInfoBuffersAsync();
      const text = await printed(() => group.printRuntimeInfo());
      expect(text).toMatch(
        /^2 runtimes\n {2}HOST +CPU +MEMORY +GPU +OS +PYTHON\n {2}host-1 .*\n {2}host-3 .*\n {2}host-2: /,
      );
    } finally {
      await host(1).startSshd();
    }
    expect(await printed(() => group.printRuntimeInfo())).toMatch(/^3 runtimes\n/);
  });
});

describe("executeTask", () => {
  it("broadcast: clones `name-1`… on every host at once, results in group order, the task itself stays new", async () => {
    const task = new RuntimeTask("all").runCommand(gate("both")).runCommand("hostname");
    const execution = group.executeTask(task, { broadcast: true });
    expect(execution.task).toBe(task);
    expect(execution.tasks.map(({ name, host: on, state }) => [name, on, state])).toEqual([
      ["all-1", "host-1", "running"],
      ["all-2", "host-2", "running"],
      ["all-3", "host-3", "running"],
    ]);
    expect(execution.process).toMatchObject({
      kind: "task",
      host: null,
      pid: null,
      exitCode: null,
      alive: true,
      state: "running",
    });
    // All at once: each waits for a gate that is opened when all are there.
    for (const each of hosts.hosts) await processesWith(each, /until \[ -e \/tmp\/both/);
    HOSTS.forEach((_, index) => open(index, "both"));
    const tasks = await execution;
    expect(tasks).toEqual(execution.tasks);
    expect(tasks.map(({ state }) => state)).toEqual(["done", "done", "done"]);
    expect(new Set(tasks.map(({ executionLogFilePath }) => executionLogFilePath)).size).toBe(3);
    expect(task.state).toBe("new");
    await execution.process.join();
    expect(execution.process).toMatchObject({ alive: false, state: "done" });
    expect(group.taskProcesses.map((process) => process.host)).toEqual(HOSTS);
  });

  it("broadcast: some fail, all others finish; one GroupError has every host's result", async () => {
    const fn = py`
def answer():
    return 42
`;
    const task = new RuntimeTask("part").runFunction(fn).runCommand('[ "$(cat /tmp/fate)" = good ]');
    ["good", "bad", "good"].forEach((fate, index) => writeFileSync(join(host(index).dir, "tmp", "fate"), fate));
    const error = (await rejection(group.executeTask(task, { broadcast: true }))) as GroupErrorType;
    expect(error).toBeInstanceOf(GroupError);
    expect(error).toMatchObject({
      code: "ERR_GROUP",
      message: expect.stringMatching(/^1 of 3 tasks failed:\n {2}host-2: /) as string,
    });
    expect(
      error.results.map(({ host: on, task: clone, values, error: why }) => [
        on,
        clone.name,
        clone.state,
        values,
        why?.code,
      ]),
    ).toEqual([
      ["host-1", "part-1", "done", [42], undefined],
      ["host-2", "part-2", "failed", undefined, "ERR_TASK_FAILED"],
      ["host-3", "part-3", "done", [42], undefined],
    ]);
    expect(error.cause).toBeInstanceOf(TaskExecutionError);
    // The same, without a rejection.
    expect(await group.results()).toEqual(error.results);
    expect(await rejection(group.join())).toMatchObject({ results: error.results });
  });

  it("broadcast: a host that cannot be reached is one of the results", async () => {
    await host(2).stopSshd();
    try {
      const error = (await rejection(group.executeTask(hostname(), { broadcast: true }))) as GroupErrorType;
      expect(error.results.map(({ error: why }) => why?.code)).toEqual([undefined, undefined, "ERR_CONNECTION"]);
    } finally {
      await host(2).startSshd();
    }
  });

  it("broadcast: cancel and an aborted signal end all; one handle over all", async () => {
    const endings = [
      (execution: { cancel: () => Promise<void> }) => execution.cancel(),
      (execution: { process: { terminate: () => Promise<void> } }) => execution.process.terminate(),
      (_: unknown, controller: AbortController) => controller.abort(),
    ];
    for (const end of endings) {
      const controller = new AbortController();
      const execution = group.executeTask(new RuntimeTask().runCommand("sleep 6001"), {
        broadcast: true,
        signal: controller.signal,
      });
      for (const each of hosts.hosts) await processesWith(each, "sleep 6001");
      const failure = rejection(execution);
      await end(execution, controller);
      expect(await failure).toMatchObject({
        results: HOSTS.map((on) => ({ host: on, error: { code: "ERR_TASK_CANCELLED", reason: "cancelled" } })),
      });
      expect(execution.process).toMatchObject({ alive: false, state: "cancelled" });
      for (const each of hosts.hosts) await processesWith(each, "sleep 6001", 0);
    }
  });

  it("a failure that nobody awaited is no unhandled rejection, and join() reports it", async () => {
    void group.executeTask(new RuntimeTask().runCommand("exit 4"), { broadcast: true });
    void group.executeTask(new RuntimeTask("omitted").runCommand("exit 5"), { broadcast: true, omitOnJoin: true });
    const error = (await rejection(group.join())) as GroupErrorType;
    expect(error.results.map((result) => (result.error as TaskExecutionErrorType | undefined)?.exitCode)).toEqual([
      4, 4, 4,
    ]);
    expect((await group.results()).map((result) => result.task.omitOnJoin)).toEqual([
      false,
      false,
      false,
      true,
      true,
      true,
    ]);
    group.clearTasks();
    await group.join();
    expect(await group.results()).toEqual([]);
    expect(group.taskProcesses).toEqual([]);
  });

  it("on one host: the named one, or the least busy one by running tasks and cores", async () => {
    const named = await group.executeTask(hostname(), { host: "host-2", debug: false });
    expect(named.host).toBe("host-2");
    expect(() => group.executeTask(hostname(), { host: "host-9" })).toThrow(invalid);
    expect(() => group.executeTask(hostname(), { host: "host-1", broadcast: true })).toThrow(invalid);
    expect(() => group.executeTask(hostname(), { everywhere: true } as object)).toThrow(invalid);
    expect(() => group.executeTask("hostname" as never, { broadcast: true })).toThrow(invalid);
    expect(() => group.executeTask(new RuntimeTask(), { broadcast: true })).toThrow(/no steps/);
    expect(() => group.executeTask(hostname(), { broadcast: true, signal: 3 as never })).toThrow(invalid);

    await group.fillRuntimeInfoBuffersAsync();
    const started = HOSTS.flatMap(() => [0, 1]).map(() =>
      group.executeTask(new RuntimeTask().runCommand("sleep 6002")),
    );
    const counts = (): number[] => group.runtimes.map(({ aliveTaskProcessCount }) => aliveTaskProcessCount);
    expect(counts()).toEqual([2, 2, 2]);
    const ended = started.filter(({ task }) => task.host === "host-3");
    await Promise.all(ended.map((execution) => execution.cancel()));
    expect(counts()).toEqual([2, 2, 0]);
    expect(group.getRuntime().host).toBe("host-3");
    await Promise.all(started.map((execution) => execution.cancel()));
  });

  it("on the least busy one: twice the cores get twice the tasks, known by the first task or asked ahead", async () => {
    const script = "#!/bin/sh\nexec taskset -c $(taskset -cp $$ | sed 's/.*: //;s/[-,].*//') python3 \"$@\"\n";
    const path = join(host(0).dir, "tmp", "one-core");
    writeFileSync(path, script);
    chmodSync(path, 0o755);
    const [small, large] = [new Runtime("host-1", { python: "/tmp/one-core" }), new Runtime("host-2")];
    const both = new RuntimeGroup([small, large]);
    await both.executeTask(new RuntimeTask().runCommand("true"));
    await both.executeTask(new RuntimeTask().runCommand("true"));
    // Each has been given a task, so each was asked.
    const cores = await large.cpuCores;
    expect(await small.cpuCores).toBe(Math.min(1, cores));
    const ratio = cores / (await small.cpuCores);
    const count = Math.round(3 * (1 + ratio));
    const started = Array.from({ length: count }, () => both.executeTask(new RuntimeTask().runCommand("sleep 6004")));
    expect(small.aliveTaskProcessCount).toBe(3);
    expect(large.aliveTaskProcessCount).toBe(count - 3);
    await Promise.all(started.map((execution) => execution.cancel()));
    await both.close();
  });

  it("gives functionReturns in the order in which the tasks were given", async () => {
    const late = py`
def late(n, seconds):
    import time
    time.sleep(seconds)
    return n
`;
    for (const [n, seconds] of [
      [0, 0.4],
      [1, 0.2],
      [2, 0],
    ] as const)
      void group.executeTask(new RuntimeTask().runFunction(late, { n, seconds }));
    void group.executeTask(new RuntimeTask().runFunction(late, { n: 3, seconds: 0 }), { broadcast: true });
    const values: unknown[] = [];
    for await (const value of group.functionReturns) values.push(value);
    expect(values).toEqual([0, 1, 2, 3, 3, 3]);
    await group.join();
  });

  it("printLog prints the logs of all hosts", async () => {
    expect(await printed(() => group.printLog())).toMatch(/^No task was executed on host-1\.\n/);
    await group.executeTask(new RuntimeTask("say").runCommand("echo hello"), { broadcast: true });
    await group.runtimes[1]!.executeTask(new RuntimeTask("direct").runCommand("echo direct"));
    const said = (n: number): string => `Task "say-${String(n)}" on host-${String(n)}:\n[0] hello\n`;
    expect(await printed(() => group.printLog())).toBe(
      `${said(1)}${said(2)}Task "direct" on host-2:\n[0] direct\n${said(3)}`,
    );
  });

  it("shows who did what where: an execution, and the group", async () => {
    ["good", "bad", "good"].forEach((fate, index) => writeFileSync(join(host(index).dir, "tmp", "fate"), fate));
    const command = `echo begun; ${gate("on")}; [ "$(cat /tmp/fate)" = good ] || exit 3`;
    const execution = group.executeTask(new RuntimeTask("show").runCommand(command), { broadcast: true });
    const text = (shown: object): string =>
      (shown as Record<symbol, () => { "text/plain": string }>)[Symbol.for("Jupyter.display")]!.call(shown)[
        "text/plain"
      ];
    await eventually(() => expect(text(execution).match(/ begun$/gm)).toHaveLength(3), 5000);
    expect(text(execution)).toMatch(
      /^Task show on 3 hosts: 3 running\n {2}HOST +STATE +STEP +TIME\n {2}host-1 +running +1\/1 run echo begun; .* m?s +begun\n/,
    );
    expect(text(group)).toMatch(/^RuntimeGroup of 3 hosts: 3 running\n.*\n {2}host-1 +1 +1 +show-1 +running\n/);
    HOSTS.forEach((_, index) => open(index, "on"));
    await rejection(execution);
    expect(text(execution)).toMatch(/^Task show on 3 hosts: 2 done, 1 failed\n/);
    expect(text(execution)).toMatch(/\n {2}host-2 +failed +1\/1 .*exit code 3: begun\n/);
    expect(text(group)).toMatch(/\n {2}host-2 +0 +1 +show-2 +failed\n/);
    // As a notebook has it: a table of its own, to the end; elsewhere text.
    expect(inspect(execution)).toBe(text(execution));
    expect(inspect(group)).toBe(text(group));
  });

  it("is a live table in a notebook until all have ended", async () => {
    const tables: string[] = [];
    const shown = (text: string): void => void tables.push(text);
    const tslab = {
      display: {},
      newDisplay: () => ({ html: shown, raw: (_type: string, text: string) => shown(text) }),
    };
    Object.assign(globalThis, { __tslab__: { require: () => tslab } });
    try {
      const execution = group.executeTask(new RuntimeTask("live").runCommand(`echo '<begun>'; ${gate("live")}`), {
        broadcast: true,
      });
      expect(inspect(execution)).toBe("");
      expect(inspect(group)).toBe("");
      await eventually(() => tables.some((table) => table.includes("&#60;begun&#62;")), 5000);
      HOSTS.forEach((_, index) => open(index, "live"));
      await execution;
      const ends = ["Task live on 3 hosts: 3 done", "RuntimeGroup of 3 hosts: 3 done"];
      await eventually(() => ends.every((end) => tables.some((table) => table.includes(end))), 2000);
      expect(tables.join("")).not.toContain("<begun>");
    } finally {
      Reflect.deleteProperty(globalThis, "__tslab__");
    }
  });
});

describe("sendFile", () => {
  it("sends a file or folder to every host, in parallel", async () => {
    const folder = space.path("folder");
    mkdirSync(folder);
    writeFileSync(join(folder, "a.txt"), "content");
    const tasks = await group.sendFile(join(folder, "a.txt"), "sent.txt", false);
    expect(tasks.map(({ state, host: on }) => [state, on])).toEqual(HOSTS.map((on) => ["done", on]));
    void group.sendFile(folder, "sent folder");
    await group.join();
    for (const [index, runtime] of group.runtimes.entries()) {
      const dir = join(host(index).dir, await runtime.workingDir);
      expect(readFileSync(join(dir, "sent.txt"), "utf8")).toBe("content");
      expect(existsSync(join(dir, "sent folder", "a.txt"))).toBe(true);
    }
    expect(() => group.sendFile(join(folder, "missing"))).toThrow(invalid);
    expect(() => group.sendFile(folder, "x", { host: "host-1" } as object)).toThrow(InvalidArgumentError);
  });
});

describe("cleanup", () => {
  it("of every runtime in parallel; close and use do the same", async () => {
    await group.executeTask(new RuntimeTask().runCommand("sleep 6003 &"), { broadcast: true });
    for (const each of hosts.hosts) await processesWith(each, "sleep 6003");
    const dirs = await Promise.all(group.runtimes.map((runtime) => runtime.workingDir));
    await group.cleanup();
    for (const [index, each] of hosts.hosts.entries()) {
      expect((await each.processes()).filter(({ args }) => args.startsWith("sleep"))).toEqual([]);
      expect(existsSync(join(each.dir, dirs[index]!))).toBe(false);
    }
    const used = new RuntimeGroup("host-1");
    expect(await rejection(used.use(() => Promise.reject(new Error("mine"))))).toMatchObject({ message: "mine" });
    expect(await new RuntimeGroup("host-2").use((one) => one.hosts)).toEqual(["host-2"]);
  });
});
