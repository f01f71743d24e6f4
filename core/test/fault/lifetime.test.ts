/** Whatever ends — a connection, the manager, the agent, the network — nothing of ours stays on the host. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, canIsolate, startHosts, needsIsolation } from "../hosts";
import {
  Connection,
  type Manager,
  Runtime,
  RuntimeTask,
  type Workspace,
  agentAndKeeper,
  eventually,
  expectCleanHost,
  linkUp,
  processesWith,
  rejection,
  startManager,
  temporaryFolders,
  workspace,
} from "../support";

let hosts: TestHosts;
let host: TestHost;
let space: Workspace;
const scripts: Manager[] = [];

beforeAll(async () => {
  hosts = await startHosts({ sshdConfig: ["MaxSessions 10"] });
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
});
afterEach(async () => {
  // After a test that failed, for the next one.
  for (const script of scripts.splice(0)) script.kill();
  for (const { outerPid } of await host.processes()) process.kill(outerPid, "SIGKILL");
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

/** Every way in which a child tries to get away. Each has its own length of sleep, by which it is found. */
const ESCAPES = [
  "sleep 4001 &",
  "setsid sleep 4002 &",
  "setsid env -i /bin/sleep 4003 &",
  "nohup setsid sh -c 'trap \"\" TERM HUP INT; sleep 4004; :' >/dev/null 2>&1 &",
  "(setsid sh -c 'sleep 4005 & exit' &) ",
  "setsid sh -c 'exec >/dev/null 2>&1 </dev/null; sleep 4006' & disown -a",
  "setsid -f sleep 4007",
];
const COMMAND = `${ESCAPES.join("\n")}\nsleep 4008`;

/** Waits for all of these sleeps. */
async function sleepsRun(first: number, last: number): Promise<void> {
  await eventually(
    async () => {
      const all = (await host.processes()).map(({ args }) => args);
      for (let length = first; length <= last; length++) {
        expect(all.filter((args) => new RegExp(`^(\\S*/)?sleep ${length}$`).test(args))).toHaveLength(1);
      }
    },
    10_000,
    "the escapes run",
  );
}

/** A manager that runs the escapes, a function and a step that has ended and left a server. */
async function startEscapes(options: { leaseMs?: number } = {}): Promise<Manager> {
  const script = startManager(
    `
    const runtime = new Runtime("host-1", input.options);
    await runtime.workingDir;
    await runtime.createTempdir();
    await runtime.executeTask(new RuntimeTask().runCommand("setsid sleep 4009 & echo left"));
    const sleeper = py\`
    def sleeper():
        import os, subprocess, time
        subprocess.Popen(["sleep", "4010"], start_new_session=True)
        subprocess.Popen(["sleep", "4011"], env={}, close_fds=True)
        time.sleep(4000)
    \`;
    runtime.executeTask(new RuntimeTask().runCommand(input.command)).catch(() => undefined);
    runtime.executeFunction(sleeper).catch(() => undefined);
    say("started");
    `,
    { env: space.env, input: { command: COMMAND, options } },
  );
  scripts.push(script);
  await script.hear("started");
  await sleepsRun(4001, 4011);
  expect(temporaryFolders(host)).toHaveLength(1);
  return script;
}

it(
  "a manager that stood still for longer than a host may be silent finds its tasks alive",
  { timeout: 60_000 },
  async () => {
    const script = startManager(
      `
    const runtime = new Runtime("host-1", { connection: { keepaliveIntervalMs: 1000 } });
    await runtime.workingDir;
    const execution = runtime.executeTask(new RuntimeTask().runCommand("while [ ! -e /tmp/awake ]; do sleep 0.1; done; echo fine"));
    say("started");
    const task = await execution;
    say("ended", task.executionLog);
    await runtime.close();
    `,
      { env: space.env },
    );
    scripts.push(script);
    await script.hear("started");
    process.kill(script.pid, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 4000));
    process.kill(script.pid, "SIGCONT");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await host.exec(["touch", "/tmp/awake"]);
    expect(await script.hear("ended")).toEqual(["fine\n"]);
    expect((await script.exited).code).toBe(0);
  },
);

describe("one connection", () => {
  it(
    "carries 200 tasks at once on one host whose sshd has `MaxSessions 10`: all succeed",
    { timeout: 60_000 },
    async () => {
      const runtime = new Runtime("host-1");
      await runtime.workingDir;
      const tasks = Array.from({ length: 200 }, (_, index) =>
        new RuntimeTask(`many-${index}`).runCommand(
          `echo ${index}; while [ ! -e /tmp/go ]; do sleep 0.5; done; echo end`,
        ),
      );
      const executions = tasks.map((task) => runtime.executeTask(task));
      await processesWith(host, /while \[ ! -e \/tmp\/go \]/, 200, 25_000);
      const sessions = (await host.sshdProcesses()).filter(({ args }) => args.includes("@notty"));
      const table = await host.exec(["cat", "/proc/net/tcp", "/proc/net/tcp6"]);
      const established = table.stdout.split("\n").filter((line) => / [0-9A-F]{8}:0016 \S+ 01 /.test(line));
      expect(sessions).toHaveLength(1);
      if (canIsolate()) expect(established).toHaveLength(1);
      expect(runtime.aliveTaskProcessCount).toBe(200);
      await host.exec(["touch", "/tmp/go"]);
      await Promise.all(executions);
      for (const [index, task] of tasks.entries()) {
        expect(task.state).toBe("done");
        expect(task.executionLog).toEqual([`${index}\nend\n`]);
      }
      await host.exec(["rm", "/tmp/go"]);
      await runtime.close();
      await expectCleanHost(host, 2000);
    },
  );
});

describe("what ends", () => {
  it("closing a connection leaves no process and no temporary directory on the host within 2 s, `setsid` children included", async () => {
    const runtime = new Runtime("host-1");
    await runtime.workingDir;
    await runtime.createTempdir();
    await runtime.executeTask(new RuntimeTask().runCommand("setsid sleep 4009 & echo left"));
    const execution = runtime.executeTask(new RuntimeTask().runCommand(COMMAND));
    const failure = rejection(execution);
    await sleepsRun(4001, 4009);
    const start = performance.now();
    await runtime.close();
    const closed = performance.now() - start;
    await expectCleanHost(host, Math.max(1, 2000 - closed));
    expect(closed).toBeLessThan(2000);
    expect(await failure).toMatchObject({ code: "ERR_TASK_CANCELLED", reason: "cancelled" });
    console.log(`closing: clean after ${(performance.now() - start).toFixed(0)} ms`);
  });

  it("closing a bare Connection leaves nothing either", async () => {
    const connection = await Connection.open("host-1");
    const task = new RuntimeTask().runCommand("setsid sleep 4101 & sleep 4102");
    const failure = rejection(task.execute(connection));
    await sleepsRun(4101, 4102);
    await connection.close();
    await expectCleanHost(host, 2000);
    await failure;
  });

  it("`kill -9` of the manager leaves no process of ours on the host within 2 s, nor a temporary directory", async () => {
    const script = await startEscapes();
    script.kill("SIGKILL");
    console.log(`kill -9 of the manager: clean after ${(await expectCleanHost(host, 2000)).toFixed(0)} ms`);
    await script.exited;
  });

  it.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("%s to the manager leaves nothing within 2 s", async (signal) => {
    const script = await startEscapes();
    script.kill(signal);
    console.log(`${signal} to the manager: clean after ${(await expectCleanHost(host, 2000)).toFixed(0)} ms`);
    await script.exited;
  });

  it("process.exit() in the middle leaves nothing within 2 s", async () => {
    const script = startManager(
      `
      const runtime = new Runtime("host-1");
      await runtime.workingDir;
      runtime.executeTask(new RuntimeTask().runCommand("setsid sleep 4201 & sleep 4202")).catch(() => undefined);
      say("started");
      await heard();
      process.exit(3);
      `,
      { env: space.env },
    );
    scripts.push(script);
    await script.hear("started");
    await sleepsRun(4201, 4202);
    script.tell("go");
    expect((await script.exited).code).toBe(3);
    await expectCleanHost(host, 2000);
  });

  it("a cut network leaves nothing within 12 s (lease 10 s)", { ...needsIsolation(), timeout: 60_000 }, async () => {
    const script = await startEscapes({ leaseMs: 10_000 });
    await host.linkDown();
    try {
      console.log(`cut network: clean after ${(await expectCleanHost(host, 12_000)).toFixed(0)} ms`);
    } finally {
      await linkUp(host);
    }
    script.kill("SIGKILL");
    await script.exited;
  });

  it.each(["agent", "keeper"] as const)(
    "`kill -9` of the %s leaves nothing within 2 s, and its tasks are lost",
    async (which) => {
      const script = startManager(
        `
      const runtime = new Runtime("host-1");
      await runtime.createTempdir();
      const task = new RuntimeTask().runCommand(input);
      const failed = runtime.executeTask(task).catch((error) => error);
      say("started");
      const error = await failed;
      say("error", { name: error.name, code: error.code, reason: error.reason, state: task.state, message: error.message });
      await runtime.executeTask(new RuntimeTask().runCommand("echo again"));
      say("again");
      await runtime.close();
      `,
        { env: space.env, input: COMMAND },
      );
      scripts.push(script);
      await script.hear("started");
      await sleepsRun(4001, 4008);
      const found = await agentAndKeeper(host);
      const old = (await host.processes()).map(({ pid }) => pid);
      const start = performance.now();
      process.kill(found[which].outerPid, "SIGKILL");
      await eventually(
        async () => {
          const left = (await host.processes()).filter(({ pid }) => old.includes(pid));
          expect(left.map(({ args }) => args)).toEqual([]);
        },
        2000,
        "what ran is gone",
      );
      console.log(`kill -9 of the ${which}: clean after ${(performance.now() - start).toFixed(0)} ms`);
      expect(await script.hear("error", 5000)).toMatchObject({
        name: "TaskExecutionError",
        code: "ERR_TASK_LOST",
        reason: "lost",
        state: "lost",
        message: expect.stringContaining("host-1") as string,
      });
      await script.hear("again");
      expect((await script.exited).code).toBe(0);
      await expectCleanHost(host, 2000);
    },
  );
});
