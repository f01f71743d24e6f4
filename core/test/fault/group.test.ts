/** Groups when something goes wrong, and groups that are near each other. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type TestHosts, startHosts, needsIsolation } from "../hosts";
import {
  type GroupErrorType,
  Runtime,
  RuntimeGroup,
  RuntimeTask,
  TaskExecutionError,
  type Workspace,
  expectCleanHost,
  linkUp,
  processesWith,
  py,
  rejection,
  startManager,
  workspace,
} from "../support";

const HOSTS = ["host-1", "host-2", "host-3", "host-4"];
const OPTIONS = { leaseMs: 2000, connection: { keepaliveIntervalMs: 1000, connectTimeoutMs: 2000 } };
/** [ms] Three silent intervals, and what a busy machine adds. */
const NOTICED = 4500;

let hosts: TestHosts;
let space: Workspace;

beforeAll(async () => {
  hosts = await startHosts({ count: HOSTS.length });
  space = workspace(hosts.configFile);
});
afterEach(async () => {
  for (const host of hosts.hosts) await expectCleanHost(host, 4000);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

describe("a host that dies in the middle of a broadcast", needsIsolation(), () => {
  it("loses its task within the keepalive bound; all others finish, and one error has it all", async () => {
    const dying = hosts.hosts[2]!;
    const group = new RuntimeGroup({ hosts: HOSTS, ...OPTIONS });
    const answer = py`
def answer():
    return "here"
`;
    const task = new RuntimeTask("broadcast").runCommand("echo begun; sleep 5.01").runFunction(answer);
    const execution = group.executeTask(task, { broadcast: true });
    const ended = new Map<string, number>();
    for (const clone of execution.tasks) clone.on("end", () => ended.set(clone.host!, performance.now()));
    const failure = rejection(execution);
    for (const host of hosts.hosts) await processesWith(host, "sleep 5.01");
    const cut = performance.now();
    await dying.linkDown();
    try {
      const error = (await failure) as GroupErrorType;
      expect(error.results.map(({ host, task: clone, values }) => [host, clone.state, values])).toEqual([
        ["host-1", "done", ["here"]],
        ["host-2", "done", ["here"]],
        ["host-3", "lost", undefined],
        ["host-4", "done", ["here"]],
      ]);
      const lost = error.results[2]!.error;
      expect(lost).toBeInstanceOf(TaskExecutionError);
      expect(lost).toMatchObject({ host: "host-3", reason: "lost", code: "ERR_TASK_LOST", output: "begun\n" });
      expect(ended.get("host-3")! - cut).toBeLessThan(NOTICED);
      // The group goes on with the others, and says it of the one.
      const again = (await rejection(
        group.executeTask(new RuntimeTask().runCommand("true", { timeoutMs: 10_000 }), { broadcast: true }),
      )) as GroupErrorType;
      expect(again.results.map(({ error: why }) => why === undefined)).toEqual([true, true, false, true]);
    } finally {
      await linkUp(dying);
    }
    const back = await group.executeTask(new RuntimeTask().runCommand("true"), { broadcast: true });
    expect(back.map(({ state }) => state)).toEqual(HOSTS.map(() => "done"));
    await group.close();
  });
});

describe("many hosts", () => {
  it("of one group: 96 at once on few machines, cold, without a warning, and nothing stays", async () => {
    const blocks = readFileSync(hosts.configFile, "utf8").split(/^(?=Host )/m);
    const aliases = Array.from({ length: 96 }, (_, index) => `many-${String(index)}`);
    const config = aliases.map((alias, index) => blocks[index % HOSTS.length]!.replace(/^Host .*/, `Host ${alias}`));
    const file = space.path("many");
    writeFileSync(file, config.join("\n"));
    const script = startManager(
      `
      const { RuntimeGroup } = lazycluster;
      const group = new RuntimeGroup({ hosts: input, connection: { connectTimeoutMs: 60_000 } });
      const controller = new AbortController();
      const options = { broadcast: true, signal: controller.signal };
      const tasks = await group.executeTask(new RuntimeTask("many").runCommand("echo $HOME"), options);
      say("logs", tasks.map((task) => task.executionLog.join("")));
      await group.fillRuntimeInfoBuffersAsync();
      say("known", group.getRuntimes().size);
      controller.abort();
      await group.close();
      `,
      { env: { ...space.env, LAZYCLUSTER_SSH_CONFIG: file }, input: aliases },
    );
    const logs = await script.hear<string[]>("logs", 60_000);
    expect(logs).toEqual(aliases.map((_, index) => `${hosts.hosts[index % HOSTS.length]!.home}\n`));
    expect(await script.hear("known", 30_000)).toBe(96);
    expect(await script.exited).toMatchObject({ code: 0, stdout: "", stderr: "" });
  }, 120_000);
});

describe("near each other", () => {
  it("two groups on the same hosts never touch each other's processes and directories", async () => {
    const [first, second] = [new RuntimeGroup(...HOSTS), new RuntimeGroup(...HOSTS)];
    const start = (group: typeof first, command: string): void =>
      void group.executeTask(new RuntimeTask("same name").runCommand(`touch mine; ${command}`), { broadcast: true });
    start(first, "sleep 6101");
    start(second, "sleep 6102");
    for (const host of hosts.hosts)
      await Promise.all(["sleep 6101", "sleep 6102"].map((one) => processesWith(host, one)));
    const dirs = async (group: typeof first): Promise<string[]> =>
      Promise.all(group.runtimes.map((runtime) => runtime.workingDir));
    const [left, right] = [await dirs(first), await dirs(second)];
    expect(new Set([...left, ...right]).size).toBe(2 * HOSTS.length);
    expect(first.taskProcesses.map(({ key }) => key)).not.toEqual(second.taskProcesses.map(({ key }) => key));
    await first.close();
    for (const [index, host] of hosts.hosts.entries()) {
      await processesWith(host, "sleep 6101", 0);
      await processesWith(host, "sleep 6102");
      expect(existsSync(join(host.dir, left[index]!))).toBe(false);
      expect(existsSync(join(host.dir, right[index]!, "mine"))).toBe(true);
    }
    expect(second.taskProcesses.every(({ alive }) => alive)).toBe(true);
    await second.close();
    await second.results();
  });

  it("two managers on the same hosts: the sudden end of one ends nothing of the other", async () => {
    const body = `
      const { RuntimeManager } = lazycluster;
      const group = await (await RuntimeManager.create()).createGroup();
      const execution = group.executeTask(new RuntimeTask("same name").runCommand(input), { broadcast: true });
      say("dirs", await Promise.all(group.runtimes.map((runtime) => runtime.workingDir)));
      say("states", (await execution).map((task) => task.state));
      await group.close();
    `;
    const go = "until [ -e go ]; do sleep 0.02; done";
    const first = startManager(body, { env: space.env, input: "sleep 6103" });
    const second = startManager(body, { env: space.env, input: go });
    const dirs = await Promise.all([first, second].map((manager) => manager.hear<string[]>("dirs")));
    expect(new Set(dirs.flat()).size).toBe(2 * HOSTS.length);
    for (const host of hosts.hosts) await processesWith(host, "sleep 6103");
    first.kill();
    await first.exited;
    for (const host of hosts.hosts) await processesWith(host, "sleep 6103", 0);
    for (const [index, host] of hosts.hosts.entries()) {
      await processesWith(host, /until \[ -e go \]/);
      await host.exec(["touch", `${dirs[1]![index]!}/go`]);
    }
    expect(await second.hear("states")).toEqual(HOSTS.map(() => "done"));
    expect(await second.exited).toMatchObject({ code: 0, stderr: "" });
  });

  it("several runtimes on one machine are members of one group: names of one host, and localhost", async () => {
    const { address, port, user } = hosts.hosts[0]!;
    const members = ["host-1", `${user}@host-1`, `${user}@${address}:${String(port)}`, "localhost"];
    const group = new RuntimeGroup({
      runtimes: members.map((member) => new Runtime(member, member.includes(":") ? byAddress() : {})),
    });
    const fn = py`
def here(name):
    import os
    with open("name", "x") as file:
        file.write(name)
    return [os.getcwd(), os.environ["WORKING_DIR"]]
`;
    const tasks = await group.executeTask(new RuntimeTask().runFunction(fn, { name: "x" }), { broadcast: true });
    expect(tasks.map(({ host }) => host)).toEqual(members);
    const places = (await Promise.all(tasks.map((task) => task.returns()))).flat() as [string, string][];
    expect(new Set(places.map(([cwd]) => cwd)).size).toBe(members.length);
    for (const [cwd, variable] of places) expect(cwd).toBe(variable);
    // Each its own: the end of one leaves the others.
    await group.getRuntime("host-1").close();
    const rest = members
      .slice(1)
      .map((member) => group.executeTask(new RuntimeTask().runCommand("cat name"), { host: member }));
    expect((await Promise.all(rest)).map(({ executionLog }) => executionLog)).toEqual([["x"], ["x"], ["x"]]);
    await group.close();
  });
});

function byAddress(): { connection: object } {
  return { connection: { identityFile: hosts.identityFile, knownHostsFile: hosts.knownHostsFile, agent: false } };
}
