/** A network that is cut: both sides notice, and go on when it is back. */
import { truncateSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts, needsIsolation } from "../hosts";
import {
  Runtime,
  RuntimeTask,
  TaskExecutionError,
  type Workspace,
  eventually,
  expectCleanHost,
  linkUp,
  processesWith,
  rejection,
  timeUntil,
  workspace,
} from "../support";

const OPTIONS = { leaseMs: 2000, connection: { keepaliveIntervalMs: 1000 } };
/** [ms] Three silent intervals, and what a busy machine adds. */
const NOTICED = 4500;

describe("a cut network", needsIsolation(), () => {
  let hosts: TestHosts;
  let host: TestHost;
  let space: Workspace;

  beforeAll(async () => {
    hosts = await startHosts();
    host = hosts.hosts[0]!;
    space = workspace(hosts.configFile);
  });
  afterAll(async () => {
    await hosts.stop();
    space.remove();
  });

  it("makes its tasks `lost`, each once, with the host in the message; the host ends them; the same Runtime goes on when it is back", async () => {
    const runtime = new Runtime("host-1", OPTIONS);
    const file = space.path("big");
    writeFileSync(file, "");
    truncateSync(file, 1024 ** 3);
    const tasks = [
      new RuntimeTask().runCommand("echo before; setsid sleep 7001 & sleep 7001").runCommand("echo never"),
      new RuntimeTask().sendFile(file, "big"),
      new RuntimeTask().runCommand("yes"),
    ];
    const ends: unknown[] = [];
    for (const task of tasks) task.on("end", ({ state }) => ends.push(state));
    const failures = tasks.map((task) => rejection(runtime.executeTask(task)));
    await processesWith(host, "sleep 7001", 2);
    await eventually(() => (tasks[2]!.executionLog[0] ?? "").length > 1000, 5000);
    await new Promise((resolve) => tasks[1]!.on("progress", resolve));
    await host.linkDown();
    try {
      const start = performance.now();
      for (const failure of failures) {
        const error = await failure;
        expect(error).toBeInstanceOf(TaskExecutionError);
        expect(error).toMatchObject({
          code: "ERR_TASK_LOST",
          reason: "lost",
          stepIndex: 0,
          host: "host-1",
          cause: { code: "ERR_CONNECTION" },
        });
        expect((error as Error).message).toMatch(/^host-1: .*lost/);
      }
      const noticed = performance.now() - start;
      expect(noticed).toBeLessThan(NOTICED);
      expect(tasks.map(({ state }) => state)).toEqual(["lost", "lost", "lost"]);
      expect(tasks[0]!.executionLog).toEqual(["before\n"]);
      console.log(
        `noticed after ${noticed.toFixed(0)} ms; the host was clean ${(await expectCleanHost(host, 4000)).toFixed(0)} ms later`,
      );
    } finally {
      await linkUp(host);
    }
    const again = await runtime.executeTask(new RuntimeTask().runCommand("echo again"));
    expect(again.executionLog).toEqual(["again\n"]);
    expect(ends).toEqual(["lost", "lost", "lost"]);
    await runtime.close();
    await expectCleanHost(host, 2000);
  });

  it.each([60_000, 0])(
    "does not keep a cancel or a close waiting (keepaliveIntervalMs %d)",
    async (keepaliveIntervalMs) => {
      const runtime = new Runtime("host-1", { leaseMs: 2000, connection: { keepaliveIntervalMs } });
      const task = new RuntimeTask().runCommand("sleep 7002");
      const execution = runtime.executeTask(task);
      const failure = rejection(execution);
      await processesWith(host, "sleep 7002");
      await host.linkDown();
      try {
        const closed = timeUntil(async () => {
          await runtime.close();
        }, 20_000);
        expect(await failure).toMatchObject({ reason: "cancelled" });
        expect(await closed).toBeLessThan(15_000);
        expect(task.state).toBe("cancelled");
        await expectCleanHost(host, 4000);
      } finally {
        await linkUp(host);
      }
    },
  );

  it("for less than the patience of both loses nothing", async () => {
    const runtime = new Runtime("host-1", { leaseMs: 20_000, connection: { keepaliveIntervalMs: 5000 } });
    const task = new RuntimeTask().runCommand("for i in $(seq 100); do echo $i; sleep 0.03; done");
    const execution = runtime.executeTask(task);
    await eventually(() => (task.executionLog[0] ?? "").includes("20\n"), 5000);
    await host.linkDown();
    const seen = task.executionLog[0]!.length;
    // The producer runs on meanwhile; what it prints waits.
    await eventually(async () => (await host.processes()).every(({ args }) => !args.startsWith("bash -c for")), 10_000);
    expect(task.executionLog[0]!.length).toBeLessThan(seen + 200);
    await linkUp(host);
    await execution;
    expect(task.executionLog).toEqual([Array.from({ length: 100 }, (_, index) => `${index + 1}\n`).join("")]);
    await runtime.close();
    await expectCleanHost(host, 2000);
  });

  it("an sshd that is restarted does not touch what runs", async () => {
    const runtime = new Runtime("host-1");
    const task = new RuntimeTask().runCommand("until [ -e /tmp/go ]; do sleep 0.02; done; echo through");
    const execution = runtime.executeTask(task);
    await processesWith(host, /^bash -c until/);
    await host.stopSshd();
    expect(await rejection(new Runtime("host-1", { env: { A: "1" }, leaseMs: 50_000 }).workingDir)).toMatchObject({
      name: "ConnectionError",
      code: "ERR_CONNECTION",
    });
    await host.startSshd();
    await host.exec(["touch", "/tmp/go"]);
    await execution;
    expect(task.executionLog).toEqual(["through\n"]);
    await runtime.close();
    await host.exec(["rm", "/tmp/go"]);
  });

  it("a session that sshd ends makes its tasks `lost`, and the next one connects anew", async () => {
    const runtime = new Runtime("host-1");
    const failure = rejection(runtime.executeTask(new RuntimeTask().runCommand("sleep 7003")));
    await processesWith(host, "sleep 7003");
    const start = performance.now();
    for (const { args, outerPid } of await host.sshdProcesses())
      if (args.includes("@notty")) process.kill(outerPid, "SIGKILL");
    expect(await failure).toMatchObject({ code: "ERR_TASK_LOST", reason: "lost" });
    await expectCleanHost(host, 2000);
    expect(performance.now() - start).toBeLessThan(3000);
    expect((await runtime.executeTask(new RuntimeTask().runCommand("echo anew"))).executionLog).toEqual(["anew\n"]);
    await runtime.close();
    await expectCleanHost(host, 2000);
  });
});
