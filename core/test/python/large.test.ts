/** Arguments and values that are too large for memory: they go through private files of the manager, and none of those stays. */
import { existsSync, readdirSync, statSync, statfsSync } from "node:fs";
import { freemem } from "node:os";
import { join } from "node:path";
import { type TestContext, afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, run, startHosts, needsRoot } from "../hosts";
import {
  Runtime,
  RuntimeTask,
  type RuntimeTaskType,
  type RuntimeType,
  SCIENCE,
  type Workspace,
  agentAndKeeper,
  eventually,
  expectCleanHost,
  py,
  rejection,
  startManager,
  temporaryFolders,
  workspace,
} from "../support";

const MB = 1024 * 1024;
/** What is spooled. */
const LARGE = 96 * MB;

let hosts: TestHosts;
let host: TestHost;
let space: Workspace;
let runtime: RuntimeType;

beforeAll(async () => {
  hosts = await startHosts({ pythons: true });
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
});
beforeEach(() => {
  runtime = new Runtime("host-1");
});
afterEach(async () => {
  await runtime.close();
  await expectCleanHost(host, 3000);
  expect(spooled()).toEqual([]);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

const spool = (): string => join(space.dir, "state", "spool");

/** Private files of managers, by path. */
function spooled(folder = spool()): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

/** Folders of other processes than this one, whose own is empty. */
function others(): string[] {
  return readdirSync(spool()).filter((name) => !name.startsWith(`${String(process.pid)}_`));
}

/** Bytes that say where they are. */
function pattern(size: number): Uint8Array {
  const words = new Uint32Array(size / 4);
  for (let at = 0; at < words.length; at += 1) words[at] = at;
  return new Uint8Array(words.buffer);
}

const makePattern = py`
import array
def make(size):
    return array.array("I", range(size // 4)).tobytes()
`;
const digest = py`
import hashlib
def digest(content):
    return [len(content), hashlib.sha1(content).hexdigest()]
`;
async function sha1(bytes: Uint8Array): Promise<string> {
  const { createHash } = await import("node:crypto");
  return createHash("sha1").update(bytes).digest("hex");
}

describe("arguments", () => {
  it("are those of the moment in which the task was composed, small or large", { timeout: 60_000 }, async () => {
    for (const size of [16, 8 * MB, LARGE]) {
      const content = pattern(size);
      const expected = [size, await sha1(content)];
      const task = new RuntimeTask().runFunction(digest, { content });
      content.fill(0);
      expect(spooled()).toHaveLength(size === LARGE ? 1 : 0);
      await runtime.executeTask(task);
      expect(await task.returns()).toEqual([expected]);
      // They are the task's: it may run again.
      await runtime.executeTask(task);
      expect(await task.returns()).toEqual([expected]);
      await task.cleanup();
      expect(spooled()).toEqual([]);
    }
  });

  it("are in a private file, which clones share, and which goes with the last of them", async () => {
    const task = new RuntimeTask().runFunction(digest, { content: new Uint8Array(LARGE) });
    const [file = ""] = spooled();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(file, "..")).mode & 0o777).toBe(0o700);
    const clone = task.clone();
    await task.cleanup();
    await task.cleanup();
    expect(spooled()).toHaveLength(1);
    await runtime.executeTask(clone);
    expect((await clone.returns())[0]).toEqual([LARGE, await sha1(new Uint8Array(LARGE))]);
    await clone.cleanup();
    expect(spooled()).toEqual([]);
    expect(((await rejection(runtime.executeTask(clone))) as Error).message).toMatch(/host-1.*Compose the task again/s);
  });

  it("tell how far they came, and can be cancelled on their way", async () => {
    const slow = py`
    def slow(content):
        import time
        time.sleep(1000)
    `;
    const task = new RuntimeTask().runFunction(slow, { content: new Uint8Array(LARGE) });
    const seen: { bytes: number; totalBytes: number | null }[] = [];
    task.on("progress", ({ bytes, totalBytes }) => seen.push({ bytes, totalBytes }));
    const execution = runtime.executeTask(task);
    const failed = rejection(execution);
    await eventually(() => seen.length > 0, 10_000);
    expect(seen[0]!.totalBytes).toBeGreaterThan(LARGE);
    await execution.cancel();
    expect(await failed).toMatchObject({ code: "ERR_TASK_CANCELLED" });
    await task.cleanup();
  });
});

describe("values", () => {
  it("come as they are, each byte of them, whatever their size", { timeout: 60_000 }, async () => {
    for (const size of [0, 16, 8 * MB, LARGE]) {
      const task = new RuntimeTask().runFunction(makePattern, { size });
      const progress: (number | null)[] = [];
      task.on("progress", ({ totalBytes }) => progress.push(totalBytes));
      await runtime.executeTask(task);
      expect(spooled()).toHaveLength(size === LARGE ? 1 : 0);
      if (size === LARGE) expect(statSync(spooled()[0]!).mode & 0o777).toBe(0o600);
      const [value] = (await task.returns()) as [Uint8Array];
      expect(Buffer.compare(value, pattern(size))).toBe(0);
      // Nothing else in its memory.
      expect(value.byteOffset + value.byteLength).toBe(value.buffer.byteLength);
      expect(spooled()).toEqual([]);
      expect((await task.returns())[0]).toBe(value);
      if (size >= 8 * MB) expect(progress.at(-1)).toBeGreaterThanOrEqual(size);
      else expect(progress).toEqual([]);
    }
  });

  it("may be read after the runtime was closed, or never", async () => {
    const [read, unread] = [0, 1].map(() => new RuntimeTask().runFunction(makePattern, { size: LARGE })) as [
      RuntimeTaskType,
      RuntimeTaskType,
    ];
    await runtime.executeTask(read);
    await runtime.executeTask(unread);
    await runtime.close();
    expect(spooled()).toHaveLength(2);
    expect(((await read.returns())[0] as Uint8Array).length).toBe(LARGE);
    await unread.cleanup();
    expect(spooled()).toEqual([]);
    expect(((await rejection(unread.returns())) as Error).message).toMatch(/host-1.*cleanup/);
  });

  it("take their objects on the host along when nobody reads them", async () => {
    const task = runtime.session("main").run(
      `
class Image:
    def __init__(self, letter):
        self.letter = letter
    def _repr_png_(self):
        return self.letter * (8 * 1024 * 1024)
for letter in b"abcdefghi":
    display(Image(bytes([letter])))
Image(b"z")
`,
      { result: "handle" },
    );
    await task;
    expect(spooled()).toHaveLength(1);
    const kept = (): string[] =>
      temporaryFolders(host).flatMap((folder) => readdirSync(join(host.dir, "tmp", folder, "handles")));
    expect(kept()).toHaveLength(1);
    await task.task.cleanup();
    expect([spooled(), kept()]).toEqual([[], []]);
  });

  it("that do not come whole leave no file: cancelled, lost, or not to be kept", { timeout: 60_000 }, async () => {
    const endless = py`
    def endless():
        import threading, time
        return bytes(600_000_000)
    `;
    for (const end of ["cancel", "lose"]) {
      const execution = runtime.executeFunction(endless);
      const failed = rejection(execution);
      await eventually(() => spooled().length > 0, 20_000, "it is on its way");
      if (end === "cancel") await execution.cancel();
      else process.kill((await agentAndKeeper(host)).agent.outerPid, "SIGKILL");
      expect(await failed).toMatchObject({ code: end === "cancel" ? "ERR_TASK_CANCELLED" : "ERR_TASK_LOST" });
      await eventually(() => expect(spooled()).toEqual([]), 5000);
    }
    expect((await (await runtime.executeFunction(py`def fine(): return 1`)).returns())[0]).toBe(1);
  });

  it(
    "that no disk has room for are one clear error, and the next call works",
    { ...needsRoot(), timeout: 60_000 },
    async () => {
      const small = space.path("small");
      await run("mkdir", ["-p", small]);
      expect((await run("mount", ["-t", "tmpfs", "-o", "size=80m", "tmpfs", small])).code).toBe(0);
      try {
        const script = startManager(
          `
        const runtime = new Runtime("host-1");
        const make = py\`def make(size): return bytes(size)\`;
        const failed = await runtime.executeFunction(make, { size: ${String(LARGE)} }).then(() => "", (error) => error.message);
        say("value", failed);
        let composed = "";
        try { new RuntimeTask().runFunction(make, { size: new Uint8Array(${String(LARGE)}) }); } catch (error) { composed = error.message; }
        say("argument", composed);
        say("next", await (await runtime.executeFunction(make, { size: 3 })).returns());
        await runtime.close();
        `,
          { env: { ...space.env, LAZYCLUSTER_STATE_DIR: join(small, "state") } },
        );
        expect(await script.hear("value", 30_000)).toMatch(/host-1.*ENOSPC.*Free some space.*LAZYCLUSTER_STATE_DIR/s);
        expect(await script.hear("argument")).toMatch(/ENOSPC.*Free some space.*LAZYCLUSTER_STATE_DIR/s);
        expect(await script.hear("next")).toHaveLength(1);
        expect(await script.exited).toMatchObject({ code: 0, stderr: "" });
        expect(spooled(join(small, "state", "spool"))).toEqual([]);
      } finally {
        await run("umount", [small]);
      }
    },
  );
});

describe("files of a process", () => {
  it(
    "go at its end, polite or not; the next process sweeps those of one that was killed",
    { timeout: 60_000 },
    async () => {
      const body = `
      const task = new RuntimeTask().runFunction(py\`def f(x): return x\`, { x: new Uint8Array(${String(LARGE)}) });
      const runtime = new Runtime("host-1");
      await runtime.executeTask(task);
      await runtime.close();
      say("there");
      if (input === "exit") process.exit(0);
      if (input === "wait") setInterval(() => {}, 1000);
      globalThis.keep = task;
    `;
      for (const input of ["end", "exit"]) {
        const script = startManager(body, { env: space.env, input });
        await script.hear("there", 30_000);
        expect(await script.exited).toMatchObject({ code: 0, stderr: "" });
        expect(others()).toEqual([]);
      }
      const killed = startManager(body, { env: space.env, input: "wait" });
      await killed.hear("there", 30_000);
      expect(spooled()).toHaveLength(2);
      killed.kill();
      await killed.exited;
      expect(spooled()).toHaveLength(2);
      await startManager(
        `await new Runtime("localhost").use((r) => r.executeTask(new RuntimeTask().runCommand("true")));`,
        {
          env: space.env,
        },
      ).exited;
      expect(others()).toEqual([]);
    },
  );
});

/** Gigabytes need minutes and as much memory for what runs on the hosts, which are this machine. */
const LONG = process.env["LAZYCLUSTER_LONG_TESTS"] === "1";
const RESULTS = [
  ["bytes", "def make(size): return bytes(size)"],
  ["a float64 array", 'import numpy\ndef make(size): return numpy.arange(size // 8, dtype="float64")'],
] as const;

/** For scripts: the most memory [bytes] since the last `forget()`, whether or not a timer could have seen it. */
const PEAK = `
  const { readFileSync, writeFileSync } = require("node:fs");
  const status = (name) => Number(new RegExp(name + ":\\\\s+(\\\\d+) kB").exec(readFileSync("/proc/self/status", "latin1"))[1]) * 1024;
  const forget = () => { writeFileSync("/proc/self/clear_refs", "5"); return status("VmRSS"); };
  const peak = () => status("VmHWM");
`;

/** A value is in the memory of the host's function, here, and on the disk, whose cache counts as free. */
function needRoom({ skip }: TestContext, megabytes: number, long: boolean): void {
  if (long && !LONG) skip("only with LAZYCLUSTER_LONG_TESTS=1");
  if (freemem() < 3 * megabytes * MB) skip(`${String(megabytes)} MB need three times as much free memory`);
  const { bavail, bsize } = statfsSync(space.dir);
  if (bavail * bsize < 2 * megabytes * MB) skip(`${String(megabytes)} MB need twice as much free disk`);
}

describe("the memory of a process", () => {
  const sizes = [
    ["200 MB", 200, false],
    ["2 GB", 2048, true],
  ] as const;
  const results = RESULTS.flatMap(([kind, source]) => sizes.map((size) => [kind, ...size, source] as const));

  it.for(results)(
    "has no place for a result under way: %s of %s",
    { timeout: 300_000 },
    async ([, , megabytes, long, source], context) => {
      needRoom(context, megabytes, long);
      const script = startManager(
        `
        ${PEAK}
        const runtime = new Runtime("host-1", { python: input.python });
        const make = py(Object.assign([input.source], { raw: [input.source] }));
        await (await runtime.executeFunction(make, { size: 8 })).returns();
        const before = forget();
        const task = await runtime.executeFunction(make, { size: input.size });
        const passing = peak() - before;
        const [value] = await task.returns();
        const data = value.data ?? value;
        const reading = peak() - before;
        let right = data.length * data.BYTES_PER_ELEMENT === input.size;
        for (let at = 0; at < data.length; at += 4096) right &&= data[at] === (value.data ? at : 0);
        say("memory", { passing, reading, right });
        await runtime.close();
        `,
        { env: space.env, input: { python: SCIENCE, source, size: megabytes * MB } },
      );
      const seen = await script.hear<{ passing: number; reading: number; right: boolean }>("memory", 250_000);
      expect(seen.right).toBe(true);
      // What is kept before it is known to be large, and what is under way.
      expect(seen.passing).toBeLessThan(180 * MB);
      expect(seen.reading).toBeLessThan((megabytes + 200) * MB);
      expect(await script.exited).toMatchObject({ code: 0, stderr: "" });
    },
  );

  it.for([
    ["200 MB", 200, false],
    ["1.1 GB", 1100, true],
  ] as const)(
    "holds an argument once, a float64 array of %s",
    { timeout: 300_000 },
    async ([, megabytes, long], context) => {
      needRoom(context, megabytes, long);
      const script = startManager(
        `
        ${PEAK}
        const runtime = new Runtime("host-1", { python: input.python });
        const look = py\`
        import numpy
        def look(x):
            assert isinstance(x, numpy.ndarray) and x.dtype == "float64"
            return [len(x), float(x[-1]), bool((x == numpy.arange(len(x))).all())]
        \`;
        await runtime.executeFunction(look, { x: new Float64Array(8).map((_, at) => at) });
        const x = new Float64Array(input.size / 8);
        for (let at = 0; at < x.length; at += 1) x[at] = at;
        const before = forget();
        const task = new RuntimeTask().runFunction(look, { x });
        const composing = peak() - before;
        say("composed");
        await heard();
        await runtime.executeTask(task);
        say("memory", { composing, sending: peak() - before, seen: (await task.returns())[0], own: x.length });
        await task.cleanup();
        await runtime.close();
        `,
        { env: space.env, input: { python: SCIENCE, size: megabytes * MB } },
      );
      await script.hear("composed", 100_000);
      expect(spooled().map((path) => statSync(path).size >= megabytes * MB)).toEqual([true]);
      script.tell("go");
      const memory = await script.hear<{ composing: number; sending: number; seen: unknown; own: number }>(
        "memory",
        250_000,
      );
      const count = (megabytes * MB) / 8;
      expect(memory.seen).toEqual([count, count - 1, true]);
      expect(memory.own).toBe(count);
      expect(memory.composing).toBeLessThan(180 * MB);
      expect(memory.sending).toBeLessThan(180 * MB);
      expect(await script.exited).toMatchObject({ code: 0, stderr: "" });
    },
  );
});
