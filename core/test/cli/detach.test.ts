/** Tasks that outlive the process that started them, seen and ended from other processes. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "fs";
import { randomUUID } from "crypto";
import { tmpdir } from "os";
import { join } from "path";
import { type TestContext, afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type TestHosts, startHosts } from "../hosts";
import { type Manager, startManager } from "../support";
import { type Ended, starter } from "./program";

let hosts: TestHosts;
let folder: string;
const env = (): Record<string, string> => ({
  LAZYCLUSTER_SSH_CONFIG: hosts.configFile,
  LAZYCLUSTER_STATE_DIR: join(folder, "state"),
  LAZYCLUSTER_MAIN_DIRECTORY: join(folder, "main"),
});

const start = starter(env);
const lazycluster = (...args: string[]): Promise<Ended> => start(...args).ended;

/** A file on the host by which the test lets a task go on. */
function gate(): { readonly path: string; readonly command: string; readonly open: () => void } {
  const name = `gate-${randomUUID()}`;
  return {
    path: `/tmp/${name}`,
    command: `until [ -e /tmp/${name} ]; do sleep 0.05; done`,
    open: () => writeFileSync(join(hosts.hosts[0]!.dir, "tmp", name), ""),
  };
}

/** Starts a detached task in a process of its own, which says `id` when the host has it. */
function startDetached(task: string, input?: unknown): Manager {
  const body = `
    const runtime = new Runtime("host-1");
    const execution = runtime.executeTask(${task}, { detach: true });
    await execution.detached();
    say("id", execution.process.key.split("::").at(-1));
    if ((await heard()) === "leave") return;
    await execution;
    say("done", await execution.task.returns());
  `;
  return startManager(body, { env: env(), input, cwd: folder });
}

/** Of a user's number; the folder of a connection has 16 digits, which may all be decimal. */
const OF_DETACHED = /^lazycluster-\d{1,10}$/;

/** What detached agents have on the host now. */
function detachedThere(): string[] {
  const tmp = join(hosts.hosts[0]!.dir, "tmp");
  return (
    readdirSync(tmp)
      .filter((name) => OF_DETACHED.test(name))
      // It goes with the last one in it.
      .flatMap((name) => (existsSync(join(tmp, name)) ? readdirSync(join(tmp, name)) : []))
  );
}
const leftThere = (id: string): boolean => detachedThere().includes(`task-${id}`);
const gone = (id: string): Promise<void> => vi.waitFor(() => expect(leftThere(id)).toBe(false), 5000);

beforeAll(async () => {
  hosts = await startHosts({ count: 1 });
  folder = mkdtempSync(join(tmpdir(), "lc-detach-"));
});
afterAll(async () => {
  await hosts.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe("a detached task whose process is killed", () => {
  test("lives on when whoever looked at it has gone", async () => {
    const { path, open } = gate();
    const ticks = join(hosts.hosts[0]!.dir, `${path}.ticks`);
    const ticked = async (count: number): Promise<void> => {
      const length = (): number => (existsSync(ticks) ? readFileSync(ticks).length : 0);
      const most = length() + count;
      await vi.waitFor(() => expect(length()).toBeGreaterThanOrEqual(most), 20_000);
    };
    const manager = startManager(
      `
      const runtime = new Runtime("host-1", { leaseMs: 1000 });
      const execution = runtime.executeTask(new RuntimeTask("ticks").runCommand(input), { detach: true });
      await execution.detached();
      say("id", execution.process.key.split("::").at(-1));
      await heard();
      `,
      {
        env: env(),
        cwd: folder,
        input: `echo one; until [ -e ${path} ]; do printf . >> ${path}.ticks; sleep 0.1; done; echo two`,
      },
    );
    const id = await manager.hear<string>("id");
    manager.kill();
    await manager.exited;
    const looking = start("logs", "-f", id);
    await vi.waitFor(() => expect(looking.stdout()).toBe("one\n"), 10_000);
    looking.child.kill("SIGINT");
    await looking.ended;
    await ticked(25);
    open();
    expect(await lazycluster("attach", id)).toEqual({ code: 0, stdout: "one\ntwo\n", stderr: "" });
    await gone(id);
  });

  test("is told as failed when its end could not be recorded", async () => {
    const full = "import resource, sys; resource.prlimit(int(sys.argv[1]), resource.RLIMIT_FSIZE, (1, 1))";
    const manager = startDetached(`new RuntimeTask("full").runCommand(input)`, `python3 -c '${full}' $PPID; echo lost`);
    const id = await manager.hear<string>("id");
    manager.tell("wait");
    await vi.waitFor(
      async () => expect((await lazycluster("ps", "--all")).stdout).toMatch(/failed +host-1 +full/),
      15_000,
    );
    expect((await lazycluster("logs", id)).stdout).not.toContain("lost");
    manager.kill();
    await manager.exited;
    await gone(id);
  });

  test("goes on; logs -f from another process has every byte once", async () => {
    const { command, open } = gate();
    const manager = startDetached(
      `new RuntimeTask("counts").runCommand(input)`,
      `for i in $(seq 20000); do echo line $i; done; ${command}; for i in $(seq 20001 40000); do echo line $i; done`,
    );
    const id = await manager.hear<string>("id");
    const running = start("logs", "-f", id);
    await vi.waitFor(() => expect(running.stdout()).toContain("line 20000\n"), 10_000);
    manager.kill();
    await manager.exited;
    const ps = JSON.parse((await lazycluster("ps", "--json")).stdout) as { id: string; orphaned: boolean }[];
    expect(ps).toMatchObject([{ id, orphaned: true, state: "running" }]);
    expect((await lazycluster("ps")).stdout).toMatch(/detached +host-1 +counts/);
    running.child.kill("SIGINT");
    await running.ended;
    const following = start("logs", "-f", id);
    open();
    const expected = Array.from({ length: 40_000 }, (_, index) => `line ${String(index + 1)}\n`).join("");
    expect((await following.ended).stdout).toBe(expected);
    expect((await lazycluster("logs", id)).stdout).toBe(expected);
    expect((await lazycluster("ps", "--all")).stdout).toMatch(/done +host-1 +counts/);
    await gone(id);
  });

  test("attach ends with its exit code", async () => {
    const { command, open } = gate();
    const manager = startDetached(`new RuntimeTask("ends").runCommand(input)`, `echo before; ${command}; exit 7`);
    const id = await manager.hear<string>("id");
    manager.kill();
    await manager.exited;
    const attached = start("attach", id);
    await vi.waitFor(() => expect(attached.stdout()).toBe("before\n"), 10_000);
    open();
    expect(await attached.ended).toEqual({ code: 7, stdout: "before\n", stderr: "" });
    await gone(id);
  });

  test("cancel ends it and all its processes", async () => {
    const manager = startDetached(`new RuntimeTask("sleeps").runCommand("setsid sleep 4711 & sleep 4712")`);
    const id = await manager.hear<string>("id");
    const sleeping = async (): Promise<number> =>
      (await hosts.hosts[0]!.processes()).filter(({ args }) => /sleep 471[12]/.test(args)).length;
    await vi.waitFor(async () => expect(await sleeping()).toBeGreaterThan(1), 10_000);
    manager.kill();
    await manager.exited;
    const { code, stdout } = await lazycluster("cancel", id);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining("has ended") as string });
    expect(await sleeping()).toBe(0);
    expect((await lazycluster("ps", "--all")).stdout).toMatch(/cancelled +host-1 +sleeps/);
    await gone(id);
  });

  test("is taken over once: a second one follows the first", async () => {
    const { command, open } = gate();
    const manager = startDetached(`new RuntimeTask("shared").runCommand(input)`, `echo one; ${command}; echo two`);
    const id = await manager.hear<string>("id");
    manager.kill();
    await manager.exited;
    const first = start("attach", id);
    await vi.waitFor(() => expect(first.stdout()).toBe("one\n"), 10_000);
    const second = start("attach", id);
    await vi.waitFor(() => expect(second.stdout()).toBe("one\n"), 10_000);
    open();
    for (const { ended } of [first, second]) expect(await ended).toEqual({ code: 0, stdout: "one\ntwo\n", stderr: "" });
    await gone(id);
  });

  test("sends files first, and fetches them from whoever takes over", async () => {
    writeFileSync(join(folder, "in.txt"), "data");
    const { command, open } = gate();
    const task = `new RuntimeTask("files").sendFile("in.txt").runCommand(input).getFile("out.txt", "fetched.txt")`;
    const manager = startDetached(task, `${command}; tr a-z A-Z < in.txt > out.txt`);
    const id = await manager.hear<string>("id");
    manager.kill();
    await manager.exited;
    open();
    expect(await lazycluster("attach", id)).toMatchObject({ code: 0, stderr: "" });
    expect(readFileSync(join(folder, "fetched.txt"), "utf8")).toBe("DATA");
    await gone(id);
  });
});

/** Two JavaScript functions, each of which prints; the first waits for the gate that is `input`. */
const JAVASCRIPT = `
  const first = async (gate) => {
    const { existsSync } = require("node:fs");
    console.log("first");
    while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 20));
    return { name: require("node:os").hostname(), bytes: new Uint8Array([1, 2, 255]), big: 2n ** 70n };
  };
  const second = lazycluster.jsFunction((x) => { console.log("second"); return x * factor; }, { context: { factor: 3 } });
  const task = new RuntimeTask("script").runFunction(first, {}, { args: [input] }).runFunction(second, {}, { args: [14] });
`;

/** A host without Node.js has nothing to run them. */
async function needNode({ skip }: TestContext): Promise<void> {
  const { stdout } = await hosts.hosts[0]!.exec(["sh", "-c", "node --version"]);
  if (!/^v(1[89]|[2-9]\d)/.test(stdout)) skip("the host has no Node.js 18 or newer");
}

describe("detached JavaScript functions", () => {
  test("run one after the other without a connection, and give their values to whoever waits", async (context) => {
    await needNode(context);
    const { path, open } = gate();
    const body = `
      ${JAVASCRIPT}
      const runtime = new Runtime("host-1");
      const execution = runtime.executeTask(task, { detach: true });
      await execution.detached();
      await runtime.close();
      say("closed", execution.process.key.split("::").at(-1));
      await heard();
      await execution;
      const [{ name, bytes, big }, product] = await task.returns();
      say("done", [task.state, name, [...bytes], String(big), product, task.executionLog]);
    `;
    const manager = startManager(body, { env: env(), input: path });
    const id = await manager.hear<string>("closed");
    open();
    manager.tell("go");
    expect(await manager.hear("done")).toEqual([
      "done",
      expect.stringContaining("host-1"),
      [1, 2, 255],
      String(2n ** 70n),
      42,
      ["first\n", "second\n"],
    ]);
    expect(await manager.exited).toMatchObject({ code: 0, stderr: "" });
    await gone(id);
  });

  test("go on when their process is killed, and another one takes over", async (context) => {
    await needNode(context);
    const { path, open } = gate();
    const body = `
      ${JAVASCRIPT}
      const execution = new Runtime("host-1").executeTask(task, { detach: true });
      await execution.detached();
      say("id", execution.process.key.split("::").at(-1));
      await heard();
    `;
    const manager = startManager(body, { env: env(), input: path });
    const id = await manager.hear<string>("id");
    manager.kill();
    await manager.exited;
    const attached = start("attach", id);
    await vi.waitFor(() => expect(attached.stdout()).toBe("first\n"), 10_000);
    open();
    expect(await attached.ended).toEqual({ code: 0, stdout: "first\nsecond\n", stderr: "" });
    expect((await lazycluster("ps", "--all")).stdout).toMatch(/done +host-1 +script/);
    await gone(id);
  });
});

describe("a detached task that is followed while its process ends", () => {
  const lines = (from: number, to: number): string => `for i in $(seq ${from} ${to}); do echo line $i; done`;
  const expected = Array.from({ length: 12 }, (_, index) => `line ${String(index + 1)}\n`).join("");

  test.each(["killed", "at its end"])(
    "is looked after by the followers, one at a time, without gap or repeat (%s)",
    async (how) => {
      const [first, second] = [gate(), gate()];
      const manager = startDetached(
        `new RuntimeTask("left").runCommand(input)`,
        `${lines(1, 5)}; ${first.command}; ${lines(6, 9)}; ${second.command}; ${lines(10, 12)}; exit 3`,
      );
      const id = await manager.hear<string>("id");
      const followers = [start("logs", "-f", id), start("attach", id), start("logs", "-f", id), start("attach", id)];
      const all = (text: string): Promise<void> =>
        vi.waitFor(() => {
          for (const { stdout } of followers) expect(stdout()).toContain(text);
        }, 30_000);
      await all("line 5\n");
      if (how === "killed") manager.kill();
      else manager.tell("leave");
      await manager.exited;
      first.open();
      await all("line 9\n");
      // One of them does it now; when that is killed, another one does.
      const ps = JSON.parse((await lazycluster("ps", "--json")).stdout) as { process: number; orphaned: boolean }[];
      expect(ps).toMatchObject([{ id, orphaned: false, state: "running" }]);
      const holder = followers.findIndex(({ child }) => child.pid === ps[0]!.process);
      expect(holder).toBeGreaterThanOrEqual(0);
      const [leaving] = followers.splice(holder, 1);
      leaving!.child.kill(how === "killed" ? "SIGKILL" : "SIGINT");
      expect((await leaving!.ended).code).toBe(how === "killed" ? null : 130);
      second.open();
      for (const { child, ended } of followers) {
        const attached = child.spawnargs.includes("attach");
        expect(await ended).toEqual({ code: attached ? 3 : 0, stdout: expected, stderr: "" });
      }
      expect((await lazycluster("logs", id)).stdout).toBe(expected);
      await gone(id);
    },
    120_000,
  );

  test("stays detached when its host does not answer, and its log goes on afterwards", async () => {
    const { command, open } = gate();
    const manager = startDetached(
      `new RuntimeTask("away").runCommand(input)`,
      `${lines(1, 5)}; ${command}; ${lines(6, 12)}`,
    );
    const id = await manager.hear<string>("id");
    const follower = start("logs", "-f", id);
    await vi.waitFor(() => expect(follower.stdout()).toContain("line 5\n"), 30_000);
    await hosts.hosts[0]!.linkDown();
    try {
      manager.kill();
      await manager.exited;
      const { code, stderr } = await follower.ended;
      expect({ code, stderr }).toEqual({
        code: 255,
        stderr: expect.stringMatching(/^lazycluster: host-1: /) as string,
      });
    } finally {
      await hosts.hosts[0]!.linkUp();
    }
    const ps = JSON.parse((await lazycluster("ps", "--json")).stdout) as object[];
    expect(ps).toMatchObject([{ id, orphaned: true, state: "running" }]);
    open();
    expect(await lazycluster("attach", id)).toEqual({ code: 0, stdout: expected, stderr: "" });
    await gone(id);
  }, 120_000);

  test("costs its followers no look at the journals of others", async () => {
    const { command, open } = gate();
    const manager = startDetached(
      `new RuntimeTask("many").runCommand(input)`,
      `echo begun; ${command}; for i in $(seq 60); do echo line $i; sleep 0.06; done`,
    );
    const id = await manager.hear<string>("id");
    const other = join(folder, "state", "engines", "2000-other");
    mkdirSync(other);
    const engine = {
      id: "2000-other",
      pid: manager.pid,
      processStart: null,
      bootId: null,
      startedAt: 1,
      controlSocket: "",
    };
    writeFileSync(join(other, "engine.json"), JSON.stringify(engine));
    writeFileSync(join(other, "journal.jsonl"), `${"x".repeat(99)}\n`.repeat(50_000));
    const follower = start("logs", "-f", id);
    await follower.printed("begun\n");
    /** [bytes] that it has read so far. */
    const read = (): number =>
      Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${follower.child.pid!}/io`, "utf8"))![1]);
    const before = read();
    open();
    await follower.printed("line 50\n");
    expect(read() - before).toBeLessThan(5_000_000);
    manager.tell("await");
    expect((await follower.ended).code).toBe(0);
    await manager.exited;
    rmSync(other, { recursive: true });
    await gone(id);
  }, 120_000);

  test("is lost when its host has it no more", async () => {
    const manager = startDetached(`new RuntimeTask("swept").runCommand("echo here; sleep 4713")`);
    const id = await manager.hear<string>("id");
    const follower = start("attach", id);
    await vi.waitFor(() => expect(follower.stdout()).toBe("here\n"), 30_000);
    manager.kill("SIGSTOP");
    const processes = (await hosts.hosts[0]!.processes()).filter(({ args }) => args.includes("sleep 4713"));
    expect(processes).not.toEqual([]);
    for (const name of readdirSync(join(hosts.hosts[0]!.dir, "tmp")).filter((at) => OF_DETACHED.test(at)))
      rmSync(join(hosts.hosts[0]!.dir, "tmp", name, `task-${id}`), { recursive: true, force: true });
    manager.kill();
    await manager.exited;
    expect(await follower.ended).toEqual({
      code: 255,
      stdout: "here\n",
      stderr: expect.stringContaining("is not there any more") as string,
    });
    expect((await lazycluster("ps", "--all")).stdout).toMatch(/lost +host-1 +swept/);
    for (const { pid } of processes) await hosts.hosts[0]!.exec(["kill", "-KILL", String(pid)]);
  }, 120_000);
});

describe("a detached task whose process lives", () => {
  test("gives its values, and outlives its Runtime", async () => {
    const body = `
      const runtime = new Runtime("host-1");
      const double = py\`
def double(x):
    print("doubling")
    return x * 2
\`;
      const task = new RuntimeTask("doubles").runCommand(input).runFunction(double, { x: 21 });
      const execution = runtime.executeTask(task, { detach: true });
      await execution.detached();
      await runtime.close();
      say("closed", execution.process.key.split("::").at(-1));
      await heard();
      await execution;
      say("done", [task.state, await task.returns(), task.executionLog]);
    `;
    const { command, open } = gate();
    const manager = startManager(body, { env: env(), input: `echo hello; ${command}` });
    const id = await manager.hear<string>("closed");
    open();
    manager.tell("go");
    expect(await manager.hear("done")).toEqual(["done", [42], ["hello\n", "doubling\n"]]);
    expect(await manager.exited).toMatchObject({ code: 0, stderr: "" });
    await gone(id);
  });

  test("does not keep the process that started it, once the host has all", async () => {
    const { command, open } = gate();
    const body = `
      const execution = new Runtime("host-1").executeTask(new RuntimeTask("alone").runCommand(input), { detach: true });
      say("id", execution.process.key.split("::").at(-1));
    `;
    const manager = startManager(body, { env: env(), input: `${command}; echo late` });
    const id = await manager.hear<string>("id");
    expect(await manager.exited).toMatchObject({ code: 0, stderr: "" });
    expect(leftThere(id)).toBe(true);
    open();
    expect(await lazycluster("attach", id)).toEqual({ code: 0, stdout: "late\n", stderr: "" });
    await gone(id);
  });

  test("survives a network that is cut", async () => {
    const { command, open } = gate();
    const body = `
      Environment.logger = { error() {}, warn: (text) => say("warn", text), info: (text) => say("info", text), debug() {} };
      const runtime = new Runtime("host-1", { connection: { keepaliveIntervalMs: 1000 } });
      const task = new RuntimeTask("cut").runCommand(input);
      const execution = runtime.executeTask(task, { detach: true });
      await execution.detached();
      say("id", execution.process.key.split("::").at(-1));
      await execution;
      say("done", [task.state, task.executionLog]);
    `;
    const manager = startManager(body, { env: env(), input: `echo one; ${command}; echo two` });
    const id = await manager.hear<string>("id");
    const [host] = hosts.hosts;
    await host!.linkDown();
    expect(await manager.hear("warn")).toContain("goes on");
    await host!.linkUp();
    expect(await manager.hear("info", 20_000)).toContain("found again");
    open();
    expect(await manager.hear("done")).toEqual(["done", ["one\ntwo\n"]]);
    await manager.exited;
    await gone(id);
  });
});

test("run --detach prints an id, by which it is found", async () => {
  const { command, open } = gate();
  const { code, stdout } = await lazycluster("run", "--detach", "host-1", "--", `${command}; echo found`);
  expect(code).toBe(0);
  open();
  expect(await lazycluster("attach", stdout.trim())).toEqual({ code: 0, stdout: "found\n", stderr: "" });
  await gone(stdout.trim());
  expect(detachedThere()).toEqual([]);
});
