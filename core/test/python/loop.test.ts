/** Many calls of all kinds, as a notebook makes them: none of them leaves anything behind. */
import { existsSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, afterAll, beforeAll, expect, it } from "vitest";
import { type TestHosts, startHosts } from "../hosts";
import { type Workspace, eventually, expectCleanHost, startManager, workspace } from "../support";

/** What all hosts of the tests and this machine have. */
const PYTHON = "/usr/bin/python3";
/** Of ten calls each: two thousand take most of a minute. */
const ROUNDS = process.env["LAZYCLUSTER_LONG_TESTS"] === "1" ? 200 : 20;

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

/** Paths below a folder, at any depth; numbers count what was carried there, and what is carried again has another one. */
function files(folder: string): string[] {
  const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }) : [];
  return names.map((name) => name.replace(/\/\d+$/, "/N")).sort();
}

/** What a process of this machine has open, without numbers: `pipe`, `socket`, paths. */
function descriptors(pid: number): string[] {
  const folder = `/proc/${String(pid)}/fd`;
  return readdirSync(folder)
    .map((name) => readlinkSync(join(folder, name)).replace(/\d+/g, "N"))
    .sort();
}

/** Processes of this machine that another one has started, and what those have started. */
function descendants(pid: number): number[] {
  const folder = `/proc/${String(pid)}/task`;
  const children = readdirSync(folder).flatMap((thread) =>
    readFileSync(join(folder, thread, "children"), "latin1")
      .split(" ")
      .filter(Boolean)
      .map(Number),
  );
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** Everything on both hosts and of the manager that calls could leave behind. */
async function left(manager: number): Promise<unknown> {
  const places = await Promise.all(
    hosts.hosts.map(async (host) => {
      const processes = (await host.processes()).sort((a, b) => a.pid - b.pid);
      return {
        files: [...files(join(host.dir, "tmp")), ...files(join(host.dir, "home"))],
        // Those that wait for a function are others each time.
        processes: processes.map(({ args, outerPid }) => ({ args, open: descriptors(outerPid).length })).sort(byText),
      };
    }),
  );
  return {
    places,
    // Logs and the journal are the user's.
    files: [...files(join(space.dir, "state", "spool")), ...files(space.env["TMPDIR"]!)],
    open: descriptors(manager),
    processes: descendants(manager).map((pid) => descriptors(pid)),
  };
}
const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

it(
  "leaves no file, process or descriptor on the hosts or here",
  { timeout: 240_000 },
  async ({ skip }: TestContext) => {
    const { stdout } = await hosts.hosts[0]!.exec(["sh", "-c", "node --version"]);
    if (!/^v(1[89]|[2-9]\d)/.test(stdout)) skip("the hosts have no Node.js 18 or newer");
    const script = startManager(
      `
    const [one, two] = ["host-1", "host-2"].map((host) => new Runtime(host, { python: input.python }));
    const call = async (on, fn, ...args) => (await (await on.executeFunction(fn, {}, { args })).returns())[0];
    const expectSame = (is, wanted) => { if (is !== wanted) throw new Error(is + " is not " + wanted); };
    const add = py\`def add(x, y): return x + y\`;
    const make = py\`
    class Box:
        def __init__(self, n):
            self.n = n
    def make(n):
        return Box(n)
    \`;
    const read = py\`def read(box): return box.n\`;
    const { scale } = await bridge.define("factor = 3\\ndef scale(x):\\n    return x * factor");
    const multiply = lazycluster.jsFunction((x) => x * factor, { context: { factor: 4 } });
    const passed = async (n, from, to) => {
      const box = await call(from, make, n);
      expectSame(await call(to, read, box), n);
      await box.dispose();
    };
    const round = async (n) => {
      for (const on of [one, two]) {
        expectSame(await call(on, add, n, 1), n + 1);
        expectSame(await call(on, scale, n), n * 3);
        expectSame(await call(on, multiply, n), n * 4);
      }
      await Promise.all([passed(n, one, two), passed(n, two, one)]);
    };
    // What is made at the first need, and stays.
    for (let n = 0; n < 3; n += 1) await round(n);
    say("warm");
    const rounds = Number(await heard());
    for (let n = 0; n < rounds; n += 1) await round(n);
    say("done");
    await heard();
    await Promise.all([one.close(), two.close(), bridge.close()]);
    `,
      { env: { ...space.env, LAZYCLUSTER_PYTHON: PYTHON }, input: { python: PYTHON } },
    );
    await script.hear("warm", 30_000);
    const settled = async (): Promise<unknown> => {
      // Twice the same: removing and making ready go on after the last answer.
      let last: unknown = null;
      return eventually(
        async () => {
          const now = await left(script.pid);
          const before = last;
          last = now;
          expect(now).toEqual(before);
          return now;
        },
        10_000,
        "nothing changes any more",
      );
    };
    const before = await settled();
    script.tell(String(ROUNDS));
    await script.hear("done", 150_000);
    await eventually(async () => expect(await left(script.pid)).toEqual(before), 15_000, "as it was before");
    script.tell("end");
    expect(await script.exited).toMatchObject({ code: 0, stderr: "" });
    for (const host of hosts.hosts) await expectCleanHost(host, 3000);
  },
);
