/** Detached tasks of a Runtime that also does other things. */
import { mkdirSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { starter } from "../cli/program";
import { Runtime, RuntimeTask, type Workspace, startManager, workspace } from "../support";

let space: Workspace;

beforeAll(() => (space = workspace(null)));
afterAll(() => space.remove());

it.each(["temporary", "given"])("go on when their runtime is closed (%s directory)", async (directory) => {
  const workingDir = space.path("dir");
  mkdirSync(workingDir);
  const runtime = new Runtime("localhost", directory === "given" ? { workingDir } : {});
  await runtime.executeTask(new RuntimeTask().runCommand("setsid sleep 4321 >/dev/null 2>&1 & echo first"));
  const task = new RuntimeTask("goes-on").runCommand("echo one; read line; echo $line", { stdin: "two\n" });
  task.runCommand("sleep 0.5; echo three");
  const execution = runtime.executeTask(task, { detach: true });
  await execution.detached();
  await runtime.close();
  await execution;
  expect(task.executionLog).toEqual(["one\ntwo\n", "three\n"]);
});

it("go on when the process that started them has ended", async () => {
  const script = startManager(
    `
    const runtime = new Runtime("localhost");
    await runtime.executeTask(new RuntimeTask().runCommand("true"));
    const execution = runtime.executeTask(new RuntimeTask("goes-on").runCommand(input), { detach: true });
    await execution.detached();
    `,
    { env: space.env, input: `sleep 1; echo fine > ${space.dir}/result; cat ${space.dir}/result` },
  );
  expect((await script.exited).code).toBe(0);
  const attached = await starter(() => space.env)("attach", "goes-on").ended;
  expect(attached).toEqual({ code: 0, stdout: "fine\n", stderr: "" });
});
