/** Executions and those who look at them do not get in each other's way. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHosts, startHosts } from "../hosts";
import {
  Connection,
  Environment,
  InvalidArgumentError,
  Runtime,
  RuntimeTask,
  type Workspace,
  eventually,
  processesWith,
  py,
  rejection,
  workspace,
} from "../support";

let hosts: TestHosts;
let space: Workspace;

beforeAll(async () => {
  hosts = await startHosts({ count: 2 });
  space = workspace(hosts.configFile);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

const text = (pieces: readonly Buffer[]): string => Buffer.concat(pieces).toString("utf8");

describe("listeners", () => {
  it("hear all output, also when others read the log meanwhile; who comes late hears what is new", async () => {
    await new Runtime("host-1").use(async (runtime) => {
      const task = new RuntimeTask().runCommand("for i in $(seq 30); do echo $i; sleep 0.02; done");
      const early: Buffer[] = [];
      const late: Buffer[] = [];
      task.on("output", ({ data }) => early.push(data));
      const execution = runtime.executeTask(task);
      await eventually(() => expect(task.executionLog[0]).toContain("5\n"), 5000);
      task.on("output", ({ data }) => late.push(data));
      task.on("output", () => {
        expect(task.executionLog).toHaveLength(1);
      });
      await execution;
      expect(text(early)).toBe(task.executionLog[0]);
      expect(text(late).startsWith("1\n")).toBe(false);
      expect(task.executionLog[0]!.endsWith(text(late))).toBe(true);
    });
  });

  it("that throw are reported, and the execution goes on", async () => {
    const { logger } = Environment;
    const errors: string[] = [];
    const quiet = (): void => undefined;
    Environment.logger = { error: (message) => errors.push(message), warn: quiet, info: quiet, debug: quiet };
    try {
      await new Runtime("host-1").use(async (runtime) => {
        const task = new RuntimeTask("loud").runCommand("echo a").runCommand("echo b");
        task.on("step", () => {
          throw new Error("a fault of mine");
        });
        await runtime.executeTask(task);
        expect(task.state).toBe("done");
        expect(task.executionLog).toEqual(["a\n", "b\n"]);
      });
      expect(errors.some((message) => message.includes("loud") && message.includes("a fault of mine"))).toBe(true);
    } finally {
      Environment.logger = logger;
    }
  });
});

describe("an owner", () => {
  it("that is closed cancels its executions, whose next steps do not start", async () => {
    const connection = await Connection.open("host-1");
    const other = new Runtime("host-1");
    const task = new RuntimeTask().runCommand("sleep 7001", { check: false }).runCommand("echo went on");
    const failure = rejection(task.execute(connection));
    await processesWith(hosts.hosts[0]!, "sleep 7001");
    await other.echo("the connection is shared");
    await connection.close();
    expect(await failure).toMatchObject({ reason: "cancelled", stepIndex: 0 });
    expect(task.steps.map(({ state }) => state)).toEqual(["cancelled", "new"]);
    await other.close();
  });

  it("keeps what it executed when the task runs elsewhere afterwards, and leaves that alone", async () => {
    const first = new Runtime("host-1");
    const second = new Runtime("host-2");
    const where = py`
      import os
      def where():
          return os.uname().nodename
    `;
    const task = new RuntimeTask("wanderer").runCommand("hostname; [ ! -e /tmp/wait ] || sleep 1").runFunction(where);
    await first.executeTask(task);
    const [name] = await task.returns();
    await hosts.hosts[1]!.exec(["touch", "/tmp/wait"]);
    const execution = second.executeTask(task);
    expect(first.executionLog("wanderer")[0]).toBe(`${String(name)}\n`);
    expect(first.aliveTaskProcessCount).toBe(0);
    expect(second.aliveTaskProcessCount).toBe(1);
    const values: unknown[] = [];
    for await (const value of first.functionReturns) values.push(value);
    expect(values).toEqual([name]);
    await first.close();
    await execution;
    expect(task.state).toBe("done");
    expect(task.host).toBe("host-2");
    await second.close();
  });

  it("that moves its working directory does not move what was started before", async () => {
    await new Runtime("host-1", { workingDir: "~/first" }).use(async (runtime) => {
      const task = new RuntimeTask().runCommand("pwd");
      const execution = runtime.executeTask(task);
      expect(await rejection(runtime.setWorkingDir("/proc/nope"))).toMatchObject({ code: "ERR_PATH_CREATION" });
      await runtime.setWorkingDir("~/second");
      await execution;
      expect(task.executionLog[0]).toMatch(/\/first\n$/);
      expect(await runtime.workingDir).toMatch(/\/second$/);
    });
  });
});

describe("echo", () => {
  it("gives what echo printed, and not what the shell complained about", async () => {
    const noisy = await startHosts({ shell: { script: '#!/bin/sh\necho complaint >&2\nexec /bin/bash "$@"\n' } });
    const saved = Environment.sshConfigFile;
    Environment.sshConfigFile = noisy.configFile;
    try {
      await new Runtime("host-1").use(async (runtime) => expect(await runtime.echo("a  b")).toBe("a  b"));
    } finally {
      Environment.sshConfigFile = saved;
      await noisy.stop();
    }
  });
});

describe("a blank command", () => {
  it("is refused at once", () => {
    expect(() => new RuntimeTask().runCommand(" \n\t")).toThrow(InvalidArgumentError);
  });
});
