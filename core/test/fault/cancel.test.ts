/** Cancelling in every state: it settles once, and leaves nothing on either side. */
import { existsSync, mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts, needsIsolation } from "../hosts";
import {
  Environment,
  type ExecutionType,
  Runtime,
  RuntimeTask,
  type RuntimeTaskType,
  type RuntimeType,
  TaskExecutionError,
  type Workspace,
  eventually,
  expectCleanHost,
  leftovers,
  processesWith,
  py,
  rejection,
  startManager,
  timeUntil,
  workspace,
} from "../support";

const BIG = 512 * 1024 * 1024;
/** [ms] that a cancel may take: SIGTERM, a second later SIGKILL, and confirmation. */
const BOUND = 3000;

let hosts: TestHosts;
let host: TestHost;
let space: Workspace;
let runtime: RuntimeType;
let descriptors: number;
const unhandled: unknown[] = [];
const onUnhandled = (error: unknown): void => void unhandled.push(error);

const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

beforeAll(async () => {
  process.on("unhandledRejection", onUnhandled);
  hosts = await startHosts();
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
  // The engine itself, its journal and its control socket stay open.
  await new Runtime("host-1").use((first) => first.executeTask(new RuntimeTask().runCommand("true")));
  descriptors = openDescriptors();
});
beforeEach(() => {
  runtime = new Runtime("host-1");
});
afterEach(async () => {
  await runtime.close();
});
afterAll(async () => {
  expect(unhandled).toEqual([]);
  process.off("unhandledRejection", onUnhandled);
  await hosts.stop();
  space.remove();
});

/** Cancels, and checks all that must hold afterwards. */
async function expectCancelled(
  task: RuntimeTaskType,
  execution: ExecutionType,
  cancel: () => Promise<void> = () => execution.cancel(),
  owner: RuntimeType = runtime,
): Promise<void> {
  const ends: unknown[] = [];
  task.on("end", (end) => ends.push(end));
  const failure = rejection(execution);
  const start = performance.now();
  await cancel();
  expect(performance.now() - start).toBeLessThan(BOUND);
  // Confirmed means: it has settled by now.
  expect(task.state).toBe("cancelled");
  const error = await failure;
  expect(error).toBeInstanceOf(TaskExecutionError);
  expect(error).toMatchObject({ code: "ERR_TASK_CANCELLED", reason: "cancelled", task, exitCode: null });
  expect(task.error).toBe(error);
  expect(await rejection(task.join())).toBe(error);
  await task.cancel();
  await execution.cancel();
  await owner.close();
  await expectCleanHost(host, 2000);
  expect(ends).toEqual([{ state: "cancelled", error }]);
  expect(leftovers(space.dir).filter((name) => !name.startsWith("state/"))).toEqual([]);
  await eventually(() => expect(openDescriptors()).toBeLessThanOrEqual(descriptors), 3000, "descriptors");
}

describe("cancel while", () => {
  it("connecting to a socket that never answers", async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket.on("error", () => undefined))).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const nowhere = new Runtime(`127.0.0.1:${(silent.address() as AddressInfo).port}`, {
      connection: { connectTimeoutMs: 60_000 },
    });
    const task = new RuntimeTask().runCommand("true");
    const execution = nowhere.executeTask(task);
    await eventually(() => sockets.length === 1, 5000);
    const ended = once(sockets[0]!.resume(), "close");
    const failure = rejection(execution);
    await execution.cancel();
    expect(await failure).toMatchObject({ code: "ERR_TASK_CANCELLED", reason: "cancelled" });
    await nowhere.close();
    await ended;
    await new Promise((resolve) => silent.close(resolve));
    await eventually(() => expect(openDescriptors()).toBeLessThanOrEqual(descriptors), 3000, "descriptors");
  });

  it("bootstrapping through a slow shell", needsIsolation(), async () => {
    const slow = await startHosts({ shell: { script: '#!/bin/sh\nsleep 2\nexec /bin/bash "$@"\n' } });
    Environment.sshConfigFile = slow.configFile;
    try {
      const there = new Runtime("host-1");
      const task = new RuntimeTask().runCommand("true");
      const execution = there.executeTask(task);
      await processesWith(slow.hosts[0]!, "sleep 2");
      const failure = rejection(execution);
      const start = performance.now();
      await execution.cancel();
      expect(await failure).toMatchObject({ code: "ERR_TASK_CANCELLED", reason: "cancelled" });
      await there.close();
      expect(performance.now() - start).toBeLessThan(1500);
      // Its shell goes on for its two seconds; nothing of ours follows.
      await expectCleanHost(slow.hosts[0]!, 4000);
      await eventually(() => expect(openDescriptors()).toBeLessThanOrEqual(descriptors + 5), 3000, "descriptors");
    } finally {
      await slow.stop();
      Environment.sshConfigFile = hosts.configFile;
    }
  });

  it("sending a big file: nothing of it is there, and an older one is as it was", async () => {
    const file = space.path("big");
    writeFileSync(file, "");
    truncateSync(file, BIG);
    runtime = new Runtime("host-1", { workingDir: "/tmp/target" });
    await runtime.executeTask(new RuntimeTask().runCommand("echo old > old"));
    for (const remote of ["new", "old"]) {
      const task = new RuntimeTask().sendFile(file, remote);
      const execution = runtime.executeTask(task);
      await new Promise((resolve) => task.on("progress", ({ bytes }) => bytes > 4 * 1024 * 1024 && resolve(null)));
      if (remote === "new") {
        const failure = rejection(execution);
        await execution.cancel();
        await failure;
      } else await expectCancelled(task, execution);
      const { stdout } = await host.exec(["sh", "-c", "ls -A /tmp/target; cat /tmp/target/old"]);
      expect(stdout).toBe("old\nold\n");
    }
    await host.exec(["rm", "-r", "/tmp/target"]);
  });

  it("running a command", async () => {
    const task = new RuntimeTask().runCommand("echo started; setsid sleep 5001 & sleep 5002").runCommand("echo never");
    const execution = runtime.executeTask(task);
    await processesWith(host, "sleep 5001");
    await expectCancelled(task, execution);
    expect(task.executionLog).toEqual(["started\n"]);
    expect(task.steps.map(({ state }) => state)).toEqual(["cancelled", "new"]);
  });

  it("running a command that ignores SIGTERM and forks", async () => {
    const stubborn = `trap '' TERM INT HUP
      fork() { setsid sh -c 'trap "" TERM; while :; do sleep 0.07; (sleep 5003 &) ; done' & }
      fork; fork; fork; echo started; while :; do sleep 0.05; done`;
    const task = new RuntimeTask().runCommand(stubborn);
    const execution = runtime.executeTask(task);
    await eventually(
      async () => (await host.processes()).filter(({ args }) => args === "sleep 5003").length > 5,
      10_000,
    );
    await expectCancelled(task, execution);
  });

  it("running a function that ignores everything and has children", async () => {
    const stubborn = py`
    def stubborn():
        import signal, subprocess, time
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        subprocess.Popen(["sleep", "5004"], start_new_session=True)
        while True:
            try:
                time.sleep(1)
            except BaseException:
                pass
    `;
    const task = new RuntimeTask().runFunction(stubborn);
    const execution = runtime.executeTask(task);
    await processesWith(host, "sleep 5004");
    await expectCancelled(task, execution);
  });

  it("returning a big value", async () => {
    const large = py`
    def large(size):
        data = bytes(size)
        open("/tmp/returning", "w").close()
        return data
    `;
    const task = new RuntimeTask().runFunction(large, { size: BIG });
    const execution = runtime.executeTask(task);
    await eventually(() => existsSync(join(host.dir, "tmp", "returning")), 10_000);
    await expectCancelled(task, execution);
    expect(await rejection(task.functionReturns.next())).toBe(task.error);
    await host.exec(["rm", "/tmp/returning"]);
  });

  it("fetching: nothing of it is there, and an older file is as it was", async () => {
    await runtime.executeTask(new RuntimeTask().runCommand(`truncate -s ${BIG} big; mkdir folder; mv big folder/`));
    const dir = space.path("local");
    mkdirSync(join(dir, "folder"), { recursive: true });
    writeFileSync(join(dir, "old"), "old");
    writeFileSync(join(dir, "folder", "big"), "old");
    for (const [remote, local] of [
      ["folder/big", "old"],
      ["folder/big", "new"],
      ["folder", "folder"],
    ] as const) {
      const task = new RuntimeTask().getFile(remote, join(dir, local));
      const execution = runtime.executeTask(task);
      await new Promise((resolve) => task.on("progress", ({ bytes }) => bytes > 4 * 1024 * 1024 && resolve(null)));
      const failure = rejection(execution);
      await execution.cancel();
      expect(await failure).toMatchObject({ reason: "cancelled" });
      expect(readdirSync(dir, { recursive: true }).sort()).toEqual(["folder", "folder/big", "old"]);
      for (const name of ["old", "folder/big"]) expect(readFileSync(join(dir, name), "utf8")).toBe("old");
    }
    const task = new RuntimeTask().getFile("folder", join(dir, "again"));
    const execution = runtime.executeTask(task);
    await new Promise((resolve) => task.on("progress", ({ bytes }) => bytes > 4 * 1024 * 1024 && resolve(null)));
    await expectCancelled(task, execution);
  });

  it("a flood of output comes", async () => {
    const task = new RuntimeTask().runCommand("yes");
    const execution = runtime.executeTask(task);
    await eventually(() => (task.executionLog[0] ?? "").length > 100_000, 5000);
    await expectCancelled(task, execution);
  });
});

describe("by other ways", () => {
  it("an AbortSignal cancels the task", async () => {
    const abort = new AbortController();
    const task = new RuntimeTask().runCommand("sleep 5005");
    const execution = runtime.executeTask(task, { signal: abort.signal });
    await processesWith(host, "sleep 5005");
    await expectCancelled(task, execution, async () => {
      abort.abort();
      await eventually(() => task.state !== "running", BOUND);
    });
  });

  it("a signal that was aborted before lets nothing start, also where all is ready for it", async () => {
    const task = new RuntimeTask().runCommand("touch /tmp/started");
    const execution = runtime.executeTask(task, { signal: AbortSignal.abort() });
    await expectCancelled(task, execution);
    for (let round = 0; round < 20; round++) {
      await runtime.executeTask(new RuntimeTask().runCommand("true"));
      const failure = rejection(runtime.executeTask(task, { signal: AbortSignal.abort() }));
      expect(await failure).toMatchObject({ code: "ERR_TASK_CANCELLED" });
      expect(task.executionLogFilePath).not.toBeNull();
    }
    await runtime.close();
    expect(existsSync(join(host.dir, "tmp", "started"))).toBe(false);
  });

  it("a signal that is aborted after the end changes nothing", async () => {
    const abort = new AbortController();
    const task = await runtime.executeTask(new RuntimeTask().runCommand("true"), { signal: abort.signal });
    abort.abort();
    await task.cancel();
    expect(task.state).toBe("done");
    await runtime.close();
  });

  it("the process handle's terminate, and stopProcess by key", async () => {
    for (const how of ["terminate", "stopProcess"] as const) {
      const owner = new Runtime("host-1");
      const task = new RuntimeTask().runCommand("sleep 5006");
      const execution = owner.executeTask(task);
      await processesWith(host, "sleep 5006");
      const { process: handle } = execution;
      expect(owner.getProcess(handle.key).alive).toBe(true);
      await expectCancelled(
        task,
        execution,
        () => (how === "terminate" ? handle.terminate() : owner.stopProcess(handle.key)),
        owner,
      );
      await handle.join();
      expect(handle).toMatchObject({ alive: false, state: "cancelled" });
    }
  });

  it("timeoutMs ends a step, children and all, with reason timeout", async () => {
    const sleeper = py`
    def sleeper():
        import subprocess, time
        subprocess.Popen(["sleep", "5007"], start_new_session=True)
        time.sleep(4000)
    `;
    const tasks = [
      new RuntimeTask()
        .runCommand("echo before; trap '' TERM; setsid sleep 5007 & while :; do sleep 0.1; done", { timeoutMs: 300 })
        .runCommand("echo never"),
      new RuntimeTask().runFunction(sleeper, {}, { timeoutMs: 300 }),
      new RuntimeTask().runCommand("sleep 5007", { timeoutMs: 300, check: false }),
    ];
    for (const task of tasks) {
      let error: unknown;
      const took = await timeUntil(async () => (error = await rejection(runtime.executeTask(task))), 1);
      expect(took).toBeLessThan(BOUND + 2000);
      expect(error).toMatchObject({
        code: "ERR_TASK_TIMEOUT",
        reason: "timeout",
        host: "host-1",
        stepIndex: 0,
        message: expect.stringContaining("300 ms") as string,
      });
      expect(task.state).toBe("failed");
    }
    expect(tasks[0]!.executionLog).toEqual(["before\n"]);
    await processesWith(host, "sleep 5007", 0);
    await runtime.close();
    await expectCleanHost(host, 2000);
  });

  it("many times at once, twice, and after the end", async () => {
    const task = new RuntimeTask().runCommand("sleep 5008");
    const execution = runtime.executeTask(task);
    await processesWith(host, "sleep 5008");
    await expectCancelled(task, execution, async () => {
      await Promise.all([execution.cancel(), task.cancel(), execution.process.terminate(), task.cleanup()]);
    });
  });

  it("as soon as it was started", async () => {
    const tasks = Array.from({ length: 20 }, () => new RuntimeTask().runCommand("sleep 5009"));
    await runtime.workingDir;
    const executions = tasks.map((task) => runtime.executeTask(task));
    const failures = executions.map((execution) => rejection(execution));
    await Promise.all(executions.map((execution) => execution.cancel()));
    for (const failure of failures) expect(await failure).toMatchObject({ reason: "cancelled" });
    await processesWith(host, "sleep 5009", 0);
    await runtime.close();
    await expectCleanHost(host, 2000);
  });
});

it("a task is used again after each end", async () => {
  const task = new RuntimeTask("again").runCommand("test -e go || sleep 5010; echo went");
  const first = runtime.executeTask(task);
  const failure = rejection(first);
  await processesWith(host, "sleep 5010");
  expect(() => runtime.executeTask(task)).toThrow(expect.objectContaining({ code: "ERR_TASK_RUNNING" }) as Error);
  expect(() => task.runCommand("true")).toThrow(expect.objectContaining({ code: "ERR_TASK_RUNNING" }) as Error);
  await first.cancel();
  await failure;
  const log = task.executionLogFilePath;
  await runtime.executeTask(new RuntimeTask().runCommand("touch go"));
  await runtime.executeTask(task);
  expect(task).toMatchObject({ state: "done", error: null, executionLog: ["went\n"] });
  expect(task.executionLogFilePath).not.toBe(log);
  expect(await rejection(first)).toMatchObject({ reason: "cancelled" });
  await runtime.close();
});

it("closing a Runtime while it connects leaves nothing, and the next operation connects anew", async () => {
  for (let round = 0; round < 5; round++) {
    const failure = rejection(runtime.executeTask(new RuntimeTask().runCommand("sleep 5011")));
    await runtime.close();
    expect(await failure).toMatchObject({ code: "ERR_TASK_CANCELLED" });
  }
  const task = await runtime.executeTask(new RuntimeTask().runCommand("echo anew"));
  expect(task.executionLog).toEqual(["anew\n"]);
  await runtime.close();
  await expectCleanHost(host, 3000);
  await eventually(() => expect(openDescriptors()).toBeLessThanOrEqual(descriptors), 3000, "descriptors");
});

it("a script that cancels everything ends at once, without an unhandled rejection", async () => {
  const script = startManager(
    `
    const runtime = new Runtime("host-1");
    const running = new RuntimeTask().runCommand("sleep 5012");
    const executions = [runtime.executeTask(running), runtime.executeTask(new RuntimeTask().runCommand("sleep 5012"))];
    await new Promise((resolve) => running.on("step", resolve));
    for (const execution of executions) void execution.cancel();
    await Promise.allSettled(executions);
    say("cancelled", Date.now());
    `,
    { env: space.env },
  );
  await script.hear("cancelled");
  const start = Date.now();
  expect(await script.exited).toMatchObject({ code: 0, stderr: "" });
  expect(Date.now() - start).toBeLessThan(2500);
  await expectCleanHost(host, 2000);
});
