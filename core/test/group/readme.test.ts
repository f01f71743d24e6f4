/** The reference's README: groups, manager, files for a group, preprocessing, logging, as examples.ts has them. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { files, logging, managerGroup, preprocessing, runtimesAndGroups } from "../api/examples";
import { type TestHosts, canIsolate, startHosts, needsIsolation } from "../hosts";
import {
  Environment,
  NoRuntimesDetectedError,
  Runtime,
  RuntimeTask,
  type Workspace,
  printed,
  rejection,
  workspace,
} from "../support";

let hosts: TestHosts;
let space: Workspace;
const cwd = process.cwd();
const { logger } = Environment;

beforeAll(async () => {
  if (!canIsolate()) return;
  hosts = await startHosts({ count: 3, path: "/tmp/bin:/usr/local/bin:/usr/bin:/bin" });
  const config = readFileSync(hosts.configFile, "utf8");
  writeFileSync(hosts.configFile, config + config.replace(/^Host host-/gm, "Host gaia-"));
  space = workspace(hosts.configFile);
  process.chdir(space.dir);
  for (const host of hosts.hosts) install(host.dir, "python", 'exec python3 "$@"');
});
afterAll(async () => {
  if (!canIsolate()) return;
  Environment.logger = logger;
  Environment.setThirdPartyLogLevel("error");
  process.chdir(cwd);
  await hosts.stop();
  space.remove();
});

function install(dir: string, name: string, script: string): void {
  const bin = join(dir, "tmp", "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

describe("the reference's README", needsIsolation(), () => {
  it("Create Runtimes & RuntimeGroups", async () => {
    const [mixed, same, group] = await runtimesAndGroups();
    expect([mixed!.runtimes, mixed!.hosts]).toEqual([same!.runtimes, ["host-1", "host-2"]]);
    const dirs = (one: typeof group): Promise<string[]> =>
      Promise.all(one!.runtimes.map((runtime) => runtime.workingDir));
    expect(await dirs(mixed)).toEqual([expect.stringMatching(/^\/tmp\/lazycluster-/), "/workspace"]);
    expect(await dirs(group)).toEqual(["/workspace", "/workspace"]);
    await Promise.all([mixed!.close(), group!.close()]);
  });

  it("Use the RuntimeManager", async () => {
    // Without GPUs and compilers there are none of the strong ones.
    expect(await rejection(managerGroup())).toBeInstanceOf(NoRuntimesDetectedError);
    for (const host of hosts.hosts) {
      install(host.dir, "nvidia-smi", "echo NVIDIA L4");
      for (const name of ["git", "nvcc"]) install(host.dir, name, "");
    }
    const groups = await managerGroup().catch((error: unknown) => error);
    // What this machine has decides; the rest of the filter passes.
    const runtime = new Runtime("host-1");
    const bytes = await runtime.use(() => runtime.memory);
    if (bytes >= 8192 * 1024 * 1024) {
      const [all, strong] = groups as Awaited<ReturnType<typeof managerGroup>>;
      expect(all!.runtimeCount).toBe(6);
      expect(strong!.hosts).toEqual(["host-1", "host-2", "gaia-1", "gaia-2", "gaia-3"]);
      await Promise.all([all!.close(), strong!.close()]);
    } else expect(groups).toBeInstanceOf(NoRuntimesDetectedError);
  });

  it("File transfer", async () => {
    mkdirSync("local_path");
    writeFileSync("local_path/file.csv", "a;b\n1;2\n");
    const group = await files();
    expect(readFileSync("local_path/sorted.csv", "utf8")).toBe("1;2\na;b\n");
    const sent = await group.executeTask(new RuntimeTask().runCommand("cat file.csv"), { broadcast: true });
    expect(sent.map(({ executionLog }) => executionLog)).toEqual(group.hosts.map(() => ["a;b\n1;2\n"]));
    expect(group.hosts).toHaveLength(6);
    await group.close();
  });

  it("Simple preprocessing: chunks of a CSV over a group", async () => {
    const rows = Array.from({ length: 1200 }, (_, index) => `${String(index)};TEXT ${String(index)}`);
    const file = space.path("file.csv");
    writeFileSync(file, ["id;text", ...rows, ""].join("\n"));
    let tasks: Awaited<ReturnType<typeof preprocessing>> = [];
    const output = await printed(async () => (tasks = await preprocessing(file)));
    expect(tasks.map(({ state }) => state)).toEqual(["done", "done", "done"]);
    // Over the group: the least busy one gets the next.
    expect(new Set(tasks.map(({ host }) => host)).size).toBe(3);
    const chunks = await Promise.all(tasks.map((task) => task.returns()));
    expect(chunks.flat(2)).toEqual(rows.map((_, index) => `text ${String(index)}`));
    expect(output.match(/^Chunk: \d/gm)).toEqual(["Chunk: 0", "Chunk: 1", "Chunk: 2"]);
  });

  it("Logging, exception handling and debugging", async () => {
    const written: string[] = [];
    const spy = vi.spyOn(process.stdout, "write").mockImplementation((data) => {
      written.push(Buffer.from(data as Uint8Array).toString());
      return true;
    });
    let output = "";
    try {
      output = await printed(logging);
    } finally {
      spy.mockRestore();
    }
    expect(written.join("")).toMatch(/^Python 3\.\d+\.\d+\nHello\n$/);
    expect(output).toMatch(
      /^Hello\n\nlazycluster!\n\n.*exec-log-demo.*\.log gaia-1 2\nTask "exec-log-demo" on host-1:\n/,
    );
    expect(existsSync(join(space.dir, "lazycluster", "execution_log", "gaia-2"))).toBe(true);
  });
});
