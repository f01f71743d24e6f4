/** A detached task whose host is really away, and comes back: at once, busy, or after somebody wanted the task's end. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, needsIsolation, startHosts } from "../hosts";
import {
  Environment,
  type ExecutionType,
  type LazyclusterErrorType,
  Runtime,
  RuntimeTask,
  type RuntimeType,
  type Workspace,
  eventually,
  linkUp,
  processesWith,
  rejection,
  startManager,
  workspace,
} from "../support";
import { starter } from "../cli/program";

const OPTIONS = { connection: { keepaliveIntervalMs: 1000 } };
const AWAY = /task "\w+" was not cancelled: its host is away, and the task runs on there\..*asked again/;

describe("a detached task whose host is away", needsIsolation(), () => {
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

  const begin = async (name: string, command: string): Promise<{ runtime: RuntimeType; execution: ExecutionType }> => {
    const runtime = new Runtime("host-1", OPTIONS);
    const execution = runtime.executeTask(new RuntimeTask(name).runCommand(command), { detach: true });
    await execution.detached();
    return { runtime, execution };
  };
  const logins = (): number => readFileSync(join(host.dir, "sshd.log"), "utf8").split("Accepted publickey").length - 1;

  it("runs on when its end is wanted, which is said; it ends when the host is back", async () => {
    const { runtime, execution } = await begin("awaited", "sleep 4343");
    await processesWith(host, "sleep 4343");
    const failed = rejection(execution);
    await host.linkDown();
    try {
      const error = (await rejection(execution.cancel())) as LazyclusterErrorType;
      expect(error).toMatchObject({ code: "ERR_CONNECTION", host: "host-1" });
      expect(error.message).toMatch(AWAY);
      expect(execution.task.state).toBe("running");
      expect(await host.processes()).toContainEqual(expect.objectContaining({ args: "sleep 4343" }));
    } finally {
      await linkUp(host);
    }
    expect(await failed).toMatchObject({ code: "ERR_TASK_CANCELLED", reason: "cancelled" });
    expect(execution.task.state).toBe("cancelled");
    await eventually(async () => !(await host.processes()).some(({ args }) => args === "sleep 4343"), 5000);
    await runtime.close();
  }, 60_000);

  it("ends, too, when the process that was asked is gone, and another one finds the host back", async () => {
    const env = { LAZYCLUSTER_SSH_CONFIG: hosts.configFile, LAZYCLUSTER_STATE_DIR: space.path("other-state") };
    const lazycluster = starter(() => env);
    const body = `
      const runtime = new Runtime("host-1", input);
      const execution = runtime.executeTask(new RuntimeTask("wanted").runCommand("sleep 4344"), { detach: true });
      await execution.detached();
      say("id", execution.process.key.split("::").at(-1));
      await heard();
      say("asked", await execution.cancel().then(() => "ended", (error) => error.message));
      await heard();
    `;
    const manager = startManager(body, { env, input: OPTIONS });
    const id = await manager.hear<string>("id", 30_000);
    await processesWith(host, "sleep 4344");
    await host.linkDown();
    try {
      manager.tell("cancel");
      expect(await manager.hear("asked", 30_000)).toMatch(AWAY);
      manager.kill();
      await manager.exited;
      expect((await lazycluster("ps").ended).stdout).toMatch(/cancelling +host-1 +wanted/);
      // Somebody who asks now is refused, and it stays as it was.
      expect(await lazycluster("cancel", id).ended).toMatchObject({
        code: 255,
        stderr: expect.stringMatching(/host-1/) as string,
      });
    } finally {
      await linkUp(host);
    }
    expect((await lazycluster("attach", id).ended).code).not.toBe(0);
    expect((await lazycluster("ps", "--all").ended).stdout).toMatch(/cancelled +host-1 +wanted/);
    await eventually(async () => !(await host.processes()).some(({ args }) => args === "sleep 4344"), 5000);
  }, 120_000);

  it("is found by a host that is busy at first", async () => {
    const { runtime, execution } = await begin("busy", "until [ -e /tmp/go ]; do sleep 0.1; done; echo found");
    const startUp = join(host.dir, "home", ".bashrc");
    const warnings: string[] = [];
    const silent = (): void => undefined;
    Environment.logger = { error: silent, warn: (text) => warnings.push(text), info: silent, debug: silent };
    await host.linkDown();
    writeFileSync(startUp, "echo fork: retry: Resource temporarily unavailable >&2; exit 254\n");
    await eventually(() => warnings.some((text) => text.includes("goes on; it is looked for again")), 20_000);
    const before = logins();
    await linkUp(host);
    await eventually(() => logins() >= before + 2, 30_000, "tried again");
    expect(execution.task.state).toBe("running");
    rmSync(startUp);
    writeFileSync(join(host.dir, "tmp", "go"), "");
    await execution;
    expect(execution.task.executionLog).toEqual(["found\n"]);
    await runtime.close();
  }, 60_000);
});
