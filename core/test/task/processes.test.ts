/** Rows of API.md: processes of tasks, on the runtime and in a group. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts } from "../hosts";
import {
  InvalidArgumentError,
  Runtime,
  RuntimeGroup,
  RuntimeTask,
  type RuntimeType,
  type Workspace,
  eventually,
  expectCleanHost,
  printed,
  processesWith,
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
beforeEach(() => (runtime = new Runtime("host-1")));
afterEach(async () => {
  await runtime.close();
  for (const each of hosts.hosts) await expectCleanHost(each, 2000);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

describe("getProcess, getProcesses, taskProcesses, aliveProcessCount, aliveTaskProcessCount", () => {
  it("know every execution by a key of its own, in order, alive or not", async () => {
    const first = new RuntimeTask("same").runCommand("exit 3", { check: false });
    await runtime.executeTask(first);
    const firstKey = first.process!.key;
    // Executed again it is another process; another task of that name as well.
    await runtime.executeTask(first);
    const second = new RuntimeTask("same").runCommand("sleep 6201");
    const execution = runtime.executeTask(second);
    const keys = [firstKey, first.process!.key, second.process!.key];
    expect(new Set(keys).size).toBe(3);
    expect([...runtime.getProcesses().keys()]).toEqual(keys);
    expect([...runtime.getProcesses(false).values()].map(({ alive, state }) => [alive, state])).toEqual([
      [false, "done"],
      [false, "done"],
      [true, "running"],
    ]);
    expect([...runtime.getProcesses(true).keys()]).toEqual([keys[2]]);
    expect(runtime.taskProcesses.map(({ key }) => key)).toEqual(keys);
    expect([runtime.aliveProcessCount, runtime.aliveTaskProcessCount]).toEqual([1, 1]);
    expect(runtime.getProcess(firstKey)).toMatchObject({ kind: "task", host: "host-1", exitCode: 3, state: "done" });
    for (const key of keys)
      expect([runtime.isRuntimeTaskProcess(key), Runtime.isPortExposureProcess(key)]).toEqual([true, false]);
    const [remote] = await processesWith(host, "sleep 6201");
    await eventually(() => expect(runtime.getProcess(keys[2]!).pid).toBe(remote!.pid), 2000);
    const failure = rejection(execution);
    const joined = second.process!.join();
    await second.process!.terminate();
    await joined;
    expect(await failure).toMatchObject({ reason: "cancelled" });
    expect(second.process).toMatchObject({ alive: false, state: "cancelled", exitCode: null });
    expect([runtime.aliveProcessCount, runtime.aliveTaskProcessCount]).toEqual([0, 0]);
    expect(() => runtime.getProcess("nobody")).toThrow(/there is no process 'nobody'; getProcesses\(\) has them all/);
    expect(() => runtime.getProcess(3 as never)).toThrow(InvalidArgumentError);
  });

  it("an ended process may be joined and terminated, which changes nothing", async () => {
    const task = await runtime.executeTask(new RuntimeTask().runCommand("true"));
    await task.process!.join();
    await task.process!.terminate();
    await runtime.stopProcess(task.process!.key);
    expect(task.process).toMatchObject({ state: "done", exitCode: 0 });
  });
});

describe("stopProcess", () => {
  it("really ends the remote process group: children, those in other sessions, and those that ignore SIGTERM", async () => {
    const stubborn =
      "trap '' TERM; sleep 6202 & setsid sleep 6203 & (trap '' TERM; sleep 6204; sleep 6204) & wait; sleep 6205";
    const task = new RuntimeTask("stubborn").runCommand(stubborn);
    const failure = rejection(runtime.executeTask(task));
    for (const sleep of ["sleep 6202", "sleep 6203", "sleep 6204"]) await processesWith(host, sleep);
    await runtime.stopProcess(task.process!.key);
    // Confirmed: nothing is to be waited for.
    expect((await host.processes()).filter(({ args }) => /sleep 620|trap/.test(args))).toEqual([]);
    expect(await failure).toMatchObject({ reason: "cancelled", host: "host-1" });
    expect(await rejection(runtime.stopProcess("nobody"))).toBeInstanceOf(InvalidArgumentError);
  });

  it("ends one process and no other, also of the same name", async () => {
    const [one, other] = [6206, 6207].map((n) => new RuntimeTask("twin").runCommand(`sleep ${String(n)}`));
    const failure = rejection(runtime.executeTask(one!));
    const execution = runtime.executeTask(other!);
    await Promise.all([processesWith(host, "sleep 6206"), processesWith(host, "sleep 6207")]);
    await runtime.stopProcess(one!.process!.key);
    await failure;
    await processesWith(host, "sleep 6206", 0);
    await processesWith(host, "sleep 6207");
    const last = rejection(execution);
    await execution.cancel();
    await last;
  });

  it("ends what an earlier step left in the background too", async () => {
    const task = new RuntimeTask().runCommand("sleep 6208 & true").runCommand("sleep 6209");
    const failure = rejection(runtime.executeTask(task));
    await Promise.all([processesWith(host, "sleep 6208"), processesWith(host, "sleep 6209")]);
    await runtime.stopProcess(task.process!.key);
    await failure;
    expect((await host.processes()).filter(({ args }) => args.startsWith("sleep"))).toEqual([]);
  });
});

describe("executionLog, printLog, clearTasks", () => {
  it("of the last task of that name; clearTasks forgets what ended and keeps what runs", async () => {
    await runtime.executeTask(new RuntimeTask("named").runCommand("echo first"));
    await runtime.executeTask(new RuntimeTask("named").runCommand("echo second"));
    expect(runtime.executionLog("named")).toEqual(["second\n"]);
    expect(await printed(() => runtime.printLog())).toBe(
      'Task "named" on host-1:\n[0] first\nTask "named" on host-1:\n[0] second\n',
    );
    const running = new RuntimeTask("runs").runCommand("sleep 6210");
    const failure = rejection(runtime.executeTask(running));
    runtime.clearTasks();
    expect(() => runtime.executionLog("named")).toThrow(/No task "named" was executed on host-1/);
    expect([...runtime.getProcesses().keys()]).toEqual([running.process!.key]);
    await running.cancel();
    await failure;
    runtime.clearTasks();
    expect(runtime.getProcesses().size).toBe(0);
    expect(await printed(() => runtime.printLog())).toBe("No task was executed on host-1.\n");
  });
});

describe("in a group", () => {
  it("processes are those of its runtimes; a broadcast has one handle over all", async () => {
    const group = new RuntimeGroup({ runtimes: [runtime, new Runtime("host-2")] });
    const execution = group.executeTask(new RuntimeTask("both").runCommand("sleep 6211"), { broadcast: true });
    const failure = rejection(execution);
    for (const each of hosts.hosts) await processesWith(each, "sleep 6211");
    expect(group.taskProcesses.map(({ host: on, alive }) => [on, alive])).toEqual([
      ["host-1", true],
      ["host-2", true],
    ]);
    expect(runtime.getProcess(execution.tasks[0]!.process!.key).alive).toBe(true);
    await execution.process.terminate();
    await failure;
    for (const each of hosts.hosts) await processesWith(each, "sleep 6211", 0);
    expect(execution.process).toMatchObject({ alive: false, state: "cancelled", pid: null, host: null });
    await group.close();
  });
});
