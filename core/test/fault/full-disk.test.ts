/** A manager whose disk is full: the task fails with one clear error, and the engine goes on. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHosts, startHosts, needsRoot } from "../hosts";
import { type Workspace, expectCleanHost, startManager, workspace } from "../support";

let hosts: TestHosts;
let space: Workspace;
let mount: string;

describe("a manager's disk", needsRoot(), () => {
  beforeAll(async () => {
    hosts = await startHosts();
    space = workspace(hosts.configFile);
    mount = space.path("small");
    mkdirSync(mount);
    expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", mount]).status).toBe(0);
  });
  afterAll(async () => {
    spawnSync("umount", [mount]);
    await hosts.stop();
    space.remove();
  });

  it("that becomes full by a log: the task fails and says so, the producer is not stopped for ever, later tasks run", async () => {
    const script = startManager(
      `
      const { rmSync } = require("fs");
      const runtime = new Runtime("host-1");
      const flood = new RuntimeTask("flood").runCommand("head -c 5000000 /dev/zero | tr '\\\\0' x").runCommand("echo never");
      const error = await runtime.executeTask(flood).catch((error) => error);
      say("error", { name: error.name, code: error.code, reason: error.reason, message: error.message, state: flood.state });
      const meanwhile = await runtime.executeTask(new RuntimeTask("meanwhile").runCommand("true")).catch((error) => error);
      say("meanwhile", { name: meanwhile.constructor.name, state: meanwhile.state ?? meanwhile.task?.state ?? null, message: meanwhile.message ?? null });
      rmSync(flood.executionLogFilePath);
      const later = new RuntimeTask("later").runCommand("echo later");
      await runtime.executeTask(later);
      say("later", later.executionLog);
      await runtime.close();
      `,
      { env: { ...space.env, LAZYCLUSTER_MAIN_DIRECTORY: join(mount, "main") } },
    );
    expect(await script.hear("error")).toMatchObject({
      name: "TaskExecutionError",
      code: "ERR_TASK_FAILED",
      reason: "failed",
      state: "failed",
      message: expect.stringMatching(/execution log.*(ENOSPC|space)/s) as string,
    });
    // It prints nothing, so a full disk is no reason to fail.
    expect(await script.hear("meanwhile")).toMatchObject({ name: "RuntimeTask", state: "done" });
    expect(await script.hear("later")).toEqual(["later\n"]);
    expect((await script.exited).code).toBe(0);
    await expectCleanHost(hosts.hosts[0]!, 2000);
    rmSync(join(mount, "main"), { recursive: true });
  });

  it("that has no room for the journal: tasks run all the same, and it is said once", async () => {
    const script = startManager(
      `
      const fs = require("fs");
      const runtime = new Runtime("host-1");
      await runtime.executeTask(new RuntimeTask("first").runCommand("true"));
      fs.writeFileSync(input + "/filler", "");
      try { for (;;) fs.appendFileSync(input + "/filler", Buffer.alloc(1000)); } catch {}
      const task = new RuntimeTask("second").runCommand("echo works");
      for (let step = 0; step < 60; step++) task.runCommand("true");
      await runtime.executeTask(task);
      say("done", [task.state, task.executionLog[0]]);
      await runtime.close();
      `,
      { env: { ...space.env, LAZYCLUSTER_STATE_DIR: join(mount, "state") }, input: mount },
    );
    expect(await script.hear("done")).toEqual(["done", "works\n"]);
    const { code, stderr } = await script.exited;
    expect(code).toBe(0);
    expect(stderr.split("\n").filter((line) => /journal/.test(line))).toHaveLength(1);
    await expectCleanHost(hosts.hosts[0]!, 2000);
  });

  it("where the main directory cannot be made: one clear error at the task, and nothing runs", async () => {
    const inTheWay = space.path("file");
    writeFileSync(inTheWay, "file");
    const script = startManager(
      `
      const runtime = new Runtime("host-1");
      const error = await runtime.executeTask(new RuntimeTask().runCommand("touch /tmp/ran")).catch((error) => error);
      say("error", { code: error.code, message: error.message });
      await runtime.close();
      `,
      { env: { ...space.env, LAZYCLUSTER_MAIN_DIRECTORY: inTheWay } },
    );
    expect(await script.hear("error")).toMatchObject({
      message: expect.stringMatching(/execution log.*setMainDirectory/s) as string,
    });
    expect(await script.exited).toMatchObject({ code: 0, stderr: "" });
    expect(readFileSync(inTheWay, "utf8")).toBe("file");
    await expectCleanHost(hosts.hosts[0]!, 2000);
  });
});
