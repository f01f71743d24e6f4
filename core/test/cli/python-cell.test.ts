/** Python cells below the kernel: whose hosts they use. */
import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type * as PythonCell from "../../src/cli/notebook/python";
import { type TestHosts, startHosts } from "../hosts";
import { Environment, type Workspace, rejection, workspace } from "../support";

const load = createRequire(__filename);
const { python } = load(join(__dirname, "..", "..", "dist", "cli", "notebook", "python.js")) as typeof PythonCell;

let hosts: TestHosts;
let space: Workspace;

beforeAll(async () => {
  hosts = await startHosts();
  space = workspace(hosts.configFile);
});
afterAll(async () => {
  Environment.sshConfigFile = "";
  await hosts.stop();
  space.remove();
});

it("a name is looked up in the ssh config that counts now; its session is there again with the former one", async () => {
  await python("kept = 1", { on: "host-1" });
  const other = space.path("config");
  writeFileSync(other, "Host host-1\n  HostName 127.0.0.1\n  Port 1\n");
  Environment.sshConfigFile = other;
  expect(await rejection(python("kept", { on: "host-1" }))).toMatchObject({
    message: expect.stringContaining("refused") as string,
  });
  Environment.sshConfigFile = hosts.configFile;
  await python("assert kept == 1", { on: "host-1" });
});

it("a time limit that is no number is refused", async () => {
  expect(await rejection(python("1", { on: "host-1", timeout: "abc" }))).toMatchObject({ exitCode: 2 });
});
