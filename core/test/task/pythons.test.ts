/** Every Python from 3.6 to 3.13 that this machine has, as the host's. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type TestHosts, startHosts, unless } from "../hosts";
import { Runtime, RuntimeTask, type Workspace, expectCleanHost, py, pythonOf, rejection, workspace } from "../support";

const MINORS = [6, 7, 8, 9, 10, 11, 12, 13];

let hosts: TestHosts;
let space: Workspace;

beforeAll(async () => {
  hosts = await startHosts({ pythons: true });
  space = workspace(hosts.configFile);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

for (const minor of MINORS) {
  const python = pythonOf(minor);
  const title = `Python 3.${minor} as a host: a command, functions, a folder there and back`;
  if (python === null) {
    it(title, unless(`Python 3.${minor} is not on this machine`), () => undefined);
    continue;
  }
  it(title, async () => {
    const runtime = new Runtime("host-1", { python });
    expect(await runtime.pythonVersion).toMatch(new RegExp(`^3\\.${minor}\\.`));
    const folder = space.path("folder");
    mkdirSync(join(folder, "sub"), { recursive: true });
    writeFileSync(join(folder, "sub", "data"), Buffer.from([0, 255, 10, 13]));
    const back = space.path("back");
    const describeIt = py`
    import sys
    def describe(values: list, *, flag=None):
        print("printing", file=sys.stderr)
        return {"minor": sys.version_info[1], "values": values, "flag": flag, "big": 2 ** 70, "bytes": b"\x00\xff"}
    `;
    const failing = py`
    def failing():
        raise ValueError("nothing " + "works")
    `;
    const task = new RuntimeTask()
      .runCommand("echo $((6 * 7))")
      .runFunction(describeIt, { flag: "ü" }, { args: [[1, 2.5, null, true, "x"]] })
      .sendFile(folder, "there")
      .getFile("there", back);
    await runtime.executeTask(task);
    expect(task.executionLog).toEqual(["42\n", "printing\n", "", ""]);
    const [seen] = (await task.returns()) as [Record<string, unknown>];
    expect(seen).toMatchObject({ minor, values: [1, 2.5, null, true, "x"], flag: "ü", big: 2n ** 70n });
    expect(Buffer.from(seen["bytes"] as Uint8Array)).toEqual(Buffer.from([0, 255]));
    expect(readFileSync(join(back, "sub", "data"))).toEqual(Buffer.from([0, 255, 10, 13]));
    const error = await rejection(runtime.executeFunction(failing));
    expect(error).toMatchObject({ reason: "failed", cause: { code: "ERR_PYTHON" } });
    expect((error as Error).message).toContain('raise ValueError("nothing " + "works")');
    // One interpreter for the agent, another for a call.
    const other = pythonOf(minor === 13 ? 8 : 13);
    if (other !== null) {
      const elsewhere = await runtime.executeFunction(describeIt, {}, { args: [[]], python: other });
      expect(((await elsewhere.returns()) as [Record<string, unknown>])[0]["minor"]).toBe(minor === 13 ? 8 : 13);
    }
    const cancelled = new RuntimeTask().runCommand("sleep 4000 & sleep 4000");
    const execution = runtime.executeTask(cancelled);
    const failure = rejection(execution);
    await new Promise((resolve) => cancelled.on("step", resolve));
    await execution.cancel();
    expect(await failure).toMatchObject({ reason: "cancelled" });
    await runtime.close();
    await expectCleanHost(hosts.hosts[0]!, 2000);
  });
}
