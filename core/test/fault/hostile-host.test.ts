/** Nothing that a host sends is trusted. */
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { deflateSync } from "node:zlib";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import {
  LIBRARY,
  Runtime,
  RuntimeTask,
  TaskExecutionError,
  type Workspace,
  leftovers,
  py,
  rejection,
  workspace,
} from "../support";
import {
  AgentClient,
  type AgentClientType,
  EngineFailure,
  type FailureData,
  askFacts,
  dumpObject,
  hostSpec,
  never,
  receiveTree,
  startProcess,
  syncTree,
  treeRecord,
} from "../support/engine-parts";
import { FakeAgent, HELLO, MARKER } from "../support/fake-agent";

const HOST = "evil";
const space: Workspace = workspace(null);
let base: string;

beforeEach(() => {
  base = space.path("case");
  mkdirSync(join(base, "inside"), { recursive: true });
  writeFileSync(join(base, "canary"), "untouched");
});
afterAll(() => space.remove());

function start(agent: FakeAgent): Promise<AgentClientType> {
  return AgentClient.start(agent, hostSpec(HOST, null), never);
}

async function failure(work: PromiseLike<unknown>): Promise<FailureData> {
  const error = await rejection(work);
  expect(error).toBeInstanceOf(EngineFailure);
  const { data } = error as { data: FailureData };
  expect(data.host).toBe(HOST);
  expect(data.message).toContain(HOST);
  return data;
}

interface Entry {
  /** Of the record. */
  readonly letter: string;
  readonly path: Buffer;
  readonly size: bigint;
  readonly extra: Buffer;
  readonly mode?: number;
  readonly data: Buffer;
}
const NONE = Buffer.alloc(0);
const dir = (path: string): Entry => ({
  letter: "d",
  path: Buffer.from(path),
  size: 0n,
  extra: NONE,
  mode: 0o755,
  data: NONE,
});
const file = (path: string, text = "evil", size: bigint | number = text.length): Entry => ({
  ...dir(path),
  letter: "f",
  size: BigInt(size),
  data: Buffer.from(text),
});
const link = (path: string, target: string): Entry => ({ ...dir(path), letter: "l", extra: Buffer.from(target) });
const bytesOf = ({ letter, path, size, extra, mode, data }: Entry): Buffer =>
  Buffer.concat([treeRecord(letter, path, size, extra, mode), data]);

/** Sends these entries as the answer to a `get`. */
function archive(entries: readonly Entry[], end: Record<string, unknown> | null = {}, cancel = true): FakeAgent {
  return new FakeAgent(HOST, {
    message: (header, agent) => {
      const id = header.integer("id");
      if (header.op === "cancel" && cancel)
        agent.send({ op: "error", id, kind: "cancelled", message: "cancelled", errno: null, path: null });
      if (header.op !== "get") return;
      let bytes = 0;
      for (const entry of entries) {
        agent.send({ op: "data", id }, bytesOf(entry));
        bytes += entry.data.length;
      }
      if (end) agent.send({ op: "end", id, bytes, entries: entries.length, notes: [], ...end });
    },
  });
}

async function fetch(agent: FakeAgent, localPath: string): Promise<unknown> {
  const client = await start(agent);
  try {
    return await receiveTree(client, {
      remotePath: "thing",
      cwd: "",
      localPath,
      progress: () => undefined,
      signal: never,
    });
  } finally {
    await client.close();
  }
}

const MALICIOUS: Record<string, readonly Entry[]> = {
  "a name that is `..`": [dir(""), dir("a"), file("a/..")],
  "a path that climbs": [dir(""), file("../canary")],
  "a path that climbs from below": [dir(""), dir("a"), file("a/../../canary")],
  "an absolute name": [dir(""), file("/tmp/lazycluster-evil")],
  "an absolute name in the root": [dir(""), file("/lazycluster-evil")],
  "an empty name": [dir(""), dir("a"), file("a/")],
  "an empty name on the way": [dir(""), dir("a"), file("a//b")],
  "a name that is `.`": [dir(""), dir(".")],
  "a name that is `.` further down": [dir(""), dir("a"), dir("a/.")],
  "a NUL in a name": [dir(""), file("canary\0")],
  "a link out of the folder": [dir(""), link("a", "../canary")],
  "a link out from below": [dir(""), dir("a"), link("a/b", "../../canary")],
  "a link behind a name": [dir(""), dir("a"), link("b", "a/../../canary")],
  "an absolute link": [dir(""), link("a", "/etc")],
  "an empty link": [dir(""), link("a", "")],
  "a link with NUL": [dir(""), link("a", "b\0../../canary")],
  "a file below a link": [dir(""), dir("a"), link("b", "a"), file("b/x")],
  "a folder below a link": [dir(""), link("b", "."), dir("b/x")],
  "a file below a file": [dir(""), file("a"), file("a/b")],
  "a file below a folder that never came": [dir(""), file("a/b")],
  "the same file twice": [dir(""), file("a"), file("a")],
  "a file, then a folder": [dir(""), file("a"), dir("a")],
  "a link, then a file through it": [dir(""), link("a", "b"), file("a")],
  "two roots": [dir(""), dir("")],
  "a file behind a root that is a file": [file(""), file("a")],
  "a root that is a link": [link("", "canary")],
  "no root": [file("a")],
  "a device": [dir(""), { ...dir("a"), letter: "c" }],
  "a kind that is no letter": [dir(""), { ...dir("a"), letter: "\0" }],
  "what only a sync may ask for": [dir(""), { ...dir("a"), letter: "x" }],
  "a hash of nothing": [dir(""), { ...dir("a"), letter: "s", extra: Buffer.alloc(32) }],
  "a wrong hash": [file(""), { ...dir(""), letter: "s", extra: Buffer.alloc(32) }],
  "two hashes of a file": [
    dir(""),
    file("a"),
    ...Array.from({ length: 2 }, () => ({
      ...dir("a"),
      letter: "s",
      extra: createHash("sha256").update("evil").digest(),
    })),
  ],
  "a record that is cut off": [{ ...dir(""), data: treeRecord("d", Buffer.from("a"), 0n, NONE).subarray(0, 23) }],
  "more content than announced": [dir(""), file("a", "evil", 3)],
  "less content than announced": [dir(""), file("a", "evil", 5), file("b")],
  "less content at the end": [dir(""), file("a", "evil", 2 ** 50)],
  "a size beyond 2^53": [dir(""), file("a", "", 2n ** 60n)],
  "a size beyond 2^63": [dir(""), file("a", "", 2n ** 64n - 1n)],
  "content without a file": [{ ...dir(""), data: Buffer.from("evil") }],
  "a name that is too long": [dir(""), file("x".repeat(300))],
  "a path that is too deep": [
    dir(""),
    ...Array.from({ length: 20 }, (_, depth) =>
      dir(
        Array<string>(depth + 1)
          .fill("d".repeat(250))
          .join("/"),
      ),
    ),
  ],
};

describe("a malicious archive writes nothing outside of the target, and leaves nothing", () => {
  it.each(Object.entries(MALICIOUS))("%s", async (_name, entries) => {
    const before = readdirSync(base, { recursive: true }).sort();
    const data = await failure(fetch(archive(entries), join(base, "inside", "target")));
    expect(data.message).toContain("target");
    expect(readdirSync(base, { recursive: true }).sort()).toEqual(before);
    expect(readFileSync(join(base, "canary"), "utf8")).toBe("untouched");
    expect(existsSync("/tmp/lazycluster-evil")).toBe(false);
  });

  it.each([
    ["too few bytes", { bytes: 1 }],
    ["too many entries", { entries: 9 }],
    ["notes that are no texts", { notes: [7] }],
    ["no number of bytes", { bytes: "many" }],
  ])("totals with %s", async (_name, end) => {
    await failure(fetch(archive([dir(""), file("a")], end), join(base, "inside", "target")));
    expect(readdirSync(join(base, "inside"))).toEqual([]);
  });

  it("an entry behind the end, and a second end, change nothing", async () => {
    const agent = new FakeAgent(HOST, {
      message: (header, fake) => {
        if (header.op !== "get") return;
        const id = header.integer("id");
        fake.send({ op: "data", id }, bytesOf(dir("")));
        fake.send({ op: "end", id, bytes: 0, entries: 1, notes: [] });
        fake.send({ op: "data", id }, bytesOf(dir("late")));
        fake.send({ op: "end", id, bytes: 0, entries: 2, notes: [] });
      },
    });
    await fetch(agent, join(base, "inside", "target"));
    expect(readdirSync(join(base, "inside"), { recursive: true })).toEqual(["target"]);
  });

  it("permission bits beyond rwx are dropped", async () => {
    await fetch(archive([{ ...file(""), mode: 0o6755 }]), join(base, "inside", "target"));
    expect(statSync(join(base, "inside", "target")).mode & 0o7777).toBe(0o755);
  });

  it("an existing link in the target is not followed", async () => {
    const target = join(base, "inside", "target");
    mkdirSync(target);
    symlinkSync("../../canary", join(target, "file"));
    symlinkSync("../..", join(target, "folder"));
    const data = await failure(fetch(archive([dir(""), dir("folder"), file("folder/canary")]), target));
    expect(data.message).toContain("folder");
    await fetch(archive([dir(""), file("file")]), target);
    expect(lstatSync(join(target, "file")).isFile()).toBe(true);
    expect(readFileSync(join(base, "canary"), "utf8")).toBe("untouched");
    expect(leftovers(base)).toEqual([]);
  });

  it("a conflict deep inside is found before anything is moved", async () => {
    const target = join(base, "inside", "target");
    mkdirSync(join(target, "z", "conflict"), { recursive: true });
    writeFileSync(join(target, "a"), "old");
    const data = await failure(fetch(archive([dir(""), file("a"), dir("z"), file("z/conflict")]), target));
    expect(data.message).toMatch(/cannot replace a folder/);
    expect(readFileSync(join(target, "a"), "utf8")).toBe("old");
    expect(leftovers(base)).toEqual([]);
  });

  it("a host that ignores the cancel does not keep the transfer for ever", { timeout: 20_000 }, async () => {
    const data = await failure(
      fetch(archive([dir(""), file("../canary")], null, false), join(base, "inside", "target")),
    );
    expect(data.message).toMatch(/outside of a folder/);
    expect(readdirSync(join(base, "inside"))).toEqual([]);
  });

  it("more data than there was credit for ends the connection", async () => {
    const agent = new FakeAgent(HOST, {
      message: (header, fake) => {
        if (header.op !== "get") return;
        const id = header.integer("id");
        fake.send({ op: "data", id }, bytesOf(file("", "", 2 ** 40)));
        for (let count = 0; count < 64; count++) fake.send({ op: "data", id }, Buffer.alloc(1024 * 1024));
      },
    });
    const data = await failure(fetch(agent, join(base, "inside", "target")));
    expect(data).toMatchObject({
      code: "ERR_CONNECTION",
      message: expect.stringMatching(/protocol.*credit/) as string,
    });
    expect(agent.isClosed).toBe(true);
    expect(readdirSync(join(base, "inside"))).toEqual([]);
  });
});

describe("a dump of an object that is none", () => {
  const object = {
    kind: "live",
    agent: "a",
    host: HOST,
    label: "the object 5 (int)",
    python: "cpython 3.11",
    scope: "s",
    session: { name: "main", process: 1 },
    id: 1,
    modules: [],
  } as const;
  const piece = Buffer.alloc(256 * 1024);

  it.each<[string, Buffer, number]>([
    ["a small one", Buffer.from([0, 0, 0, 3, 0x92, 0x90, 0xc0]), 1],
    ["one that is too large for memory", piece, 260],
  ])("%s is refused, and leaves no file", async (_, payload, count) => {
    const spool = join(base, "inside", "value");
    let sent = 0;
    // It has credit for four pieces at once, and gets more for what arrived.
    const more = (id: number, fake: FakeAgent, wanted: number): void => {
      for (const upTo = Math.min(count, sent + wanted); sent < upTo; sent += 1)
        fake.send({ op: "data", id, s: 3 }, payload);
      if (sent === count) fake.send({ op: "exit", id, code: 0, why: "exit" });
      if (sent === count) sent += 1;
    };
    const agent = new FakeAgent(HOST, {
      message: (header, fake) => {
        const id = header.integer("id");
        if (header.op === "call") more(id, fake, 3);
        if (header.op === "credit") more(id, fake, Math.floor(header.integer("n") / (payload.length + 64)));
      },
    });
    const client = await start(agent);
    try {
      const data = await failure(dumpObject(client, object, () => spool, never));
      expect(data).toMatchObject({
        code: "ERR_PYTHON",
        message: expect.stringMatching(/the object 5 \(int\).*a dump that is no handle/) as string,
      });
      expect(existsSync(spool)).toBe(false);
    } finally {
      await client.close();
    }
  });
});

/** Answers each operation of a sync with these bytes, as if they were what it had asked for. */
function folder(answers: Readonly<Record<string, readonly Entry[]>>): FakeAgent {
  return new FakeAgent(HOST, {
    message: (header, agent) => {
      const id = header.integer("id");
      if (header.op === "cancel")
        agent.send({ op: "error", id, kind: "cancelled", message: "cancelled", errno: null, path: null });
      const entries = answers[header.op];
      if (!entries) return;
      for (const entry of entries) agent.send({ op: "data", id }, bytesOf(entry));
      const bytes = entries.reduce((sum, { data }) => sum + data.length, 0);
      agent.send({ op: "end", id, bytes, entries: entries.length, notes: [] });
    },
  });
}

async function sync(agent: FakeAgent, direction: "up" | "down"): Promise<unknown> {
  const client = await start(agent);
  try {
    return await syncTree(client, {
      remotePath: "thing",
      cwd: "",
      localPath: join(base, "inside"),
      direction,
      delete: true,
      dryRun: false,
      progress: () => undefined,
      signal: never,
    });
  } finally {
    await client.close();
  }
}

/** What a listing says of a file. */
const listed = (path: string, size = 4): Entry => ({ ...file(path, "", size), letter: "p" });

const MANIFESTS: Record<string, readonly Entry[]> = {
  "a way up": [dir(""), listed("../canary")],
  "a name that is `..`": [dir(""), dir("a"), dir("a/..")],
  "an absolute path": [dir(""), listed("/tmp/lazycluster-evil")],
  "the same path twice": [dir(""), listed("a"), listed("a")],
  "something below a file": [dir(""), listed("a"), listed("a/b")],
  "something below a link": [dir(""), link("a", "."), listed("a/b")],
  "a link out of the folder": [dir(""), link("a", "../canary")],
  "two roots": [dir(""), dir("")],
  "a file as its root": [listed("")],
  "content in it": [dir(""), file("a")],
  "no root": [listed("a")],
  "a name that is too long": [dir(""), listed("x".repeat(256))],
  "a path that is too long": [dir(""), dir("d".repeat(200)), listed(`${"d".repeat(200)}/${"x/".repeat(2000)}x`)],
  "a path of 64 KiB": [dir(""), listed("x".repeat(65535))],
  "a target of 64 KiB": [dir(""), link("a", "x".repeat(65535))],
  "more rules than can be meant": [dir(""), listed(".lazyignore", 1024 * 1024 + 1)],
  "more rules than can be meant, in many folders": [
    dir(""),
    ...Array.from({ length: 9 }, (_, index) => [dir(`d${index}`), listed(`d${index}/.lazyignore`, 128 * 1024)]).flat(),
  ],
};

describe("a hostile manifest writes nothing outside of the folder, and removes nothing", () => {
  it.each(Object.entries(MANIFESTS))("%s", async (_name, entries) => {
    writeFileSync(join(base, "inside", "mine"), "mine");
    await failure(sync(folder({ list: entries, get: [dir(""), file("a")] }), "down"));
    expect(readdirSync(base, { recursive: true }).sort()).toEqual(["canary", "inside", "inside/mine"]);
    expect(readFileSync(join(base, "canary"), "utf8")).toBe("untouched");
  });

  it("answers are not kept beyond what was asked for", async () => {
    writeFileSync(join(base, "inside", "mine"), "mine");
    const rules = listed(".lazyignore", 5);
    for (const [entries, op, message] of [
      [[dir(""), listed("mine")], "hash", /more hashes than were asked for/],
      [[dir(""), rules], "read", /more content of ".lazyignore" than was announced/],
    ] as const) {
      const agent = new FakeAgent(HOST, {
        message: (header, fake) => {
          const id = header.integer("id");
          if (header.op === "list") {
            for (const entry of entries) fake.send({ op: "data", id }, bytesOf(entry));
            fake.send({ op: "end", id, bytes: 0, entries: entries.length, notes: [] });
          }
          // It goes on for as long as it is let.
          if (header.op === op || header.op === "credit") fake.send({ op: "data", id }, Buffer.alloc(40_000));
          if (header.op === "cancel")
            fake.send({ op: "error", id, kind: "cancelled", message: "", errno: null, path: null });
        },
      });
      expect((await failure(sync(agent, "down"))).message).toMatch(message);
      expect(readFileSync(join(base, "inside", "mine"), "utf8")).toBe("mine");
    }
  });

  it("what becomes more by unpacking than it may is refused, however little it was on the way", async () => {
    const paths = (length: number, count: number): Buffer =>
      Buffer.concat(Array.from({ length: count }, (_, index) => bytesOf(listed(String(index).padStart(length, "x")))));
    for (const bytes of [Buffer.alloc(1024 * 1024 + 1), paths(65535, 15)]) {
      const packed = deflateSync(bytes);
      expect(packed.length).toBeLessThan(20_000);
      const agent = new FakeAgent(HOST, {
        message: (header, fake) => {
          const id = header.integer("id");
          if (header.op === "cancel")
            fake.send({ op: "error", id, kind: "cancelled", message: "", errno: null, path: null });
          if (header.op !== "list") return;
          fake.send({ op: "data", id }, bytesOf(dir("")));
          fake.send({ op: "data", id, z: true }, packed);
        },
      });
      expect((await failure(sync(agent, "down"))).message).toMatch(/cannot be unpacked|a path of 65535 bytes/);
    }
  });

  it("a file that nobody asked for is not taken", async () => {
    writeFileSync(join(base, "inside", ".lazyignore"), "mine\n");
    writeFileSync(join(base, "inside", "mine"), "mine");
    const agent = folder({ list: [dir(""), listed("a")], get: [dir(""), file("mine")] });
    expect((await failure(sync(agent, "down"))).message).toContain("not asked for");
    expect(readFileSync(join(base, "inside", "mine"), "utf8")).toBe("mine");
    expect(leftovers(base)).toEqual([]);
  });

  it("a link in the local folder is not followed", async () => {
    symlinkSync("..", join(base, "inside", "link"));
    const entries = [dir(""), dir("link"), listed("link/canary")];
    const agent = folder({ list: entries, get: [dir(""), dir("link"), file("link/canary")] });
    // The link itself goes, for the host has a folder of that name.
    await sync(agent, "down");
    expect(readFileSync(join(base, "canary"), "utf8")).toBe("untouched");
    expect(readFileSync(join(base, "inside", "link", "canary"), "utf8")).toBe("evil");
    expect(lstatSync(join(base, "inside", "link")).isDirectory()).toBe(true);
  });
});

/** A frame with these lengths and bytes, true or not. */
function frame(
  header: Buffer,
  payload: Buffer = Buffer.alloc(0),
  lengths: [number, number] = [header.length, payload.length],
): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32BE(lengths[0], 0);
  prefix.writeUInt32BE(lengths[1], 4);
  return Buffer.concat([prefix, header, payload]);
}
/** {"op": "data", "x": value} */
const holding = (value: Buffer, count = 2): Buffer =>
  Buffer.concat([
    Buffer.from([0x80 + count]),
    Buffer.from("\xa2op\xa4data", "latin1"),
    Buffer.from("\xa1x", "latin1"),
    value,
  ]);

const BROKEN: Record<string, Buffer> = {
  "a header of length 0": frame(Buffer.alloc(0)),
  "an oversized header": frame(Buffer.alloc(0), Buffer.alloc(0), [0xffffffff, 0]),
  "an oversized payload": frame(holding(Buffer.from([0xc0])), Buffer.alloc(0), [12, 0xfffffff0]),
  "a header that is no map": frame(Buffer.from([0x93, 1, 2, 3])),
  "a header with a number as key": frame(Buffer.from([0x81, 1, 2])),
  "the same key twice": frame(Buffer.from("\x82\xa2op\xa4data\xa2op\xa4data", "latin1")),
  "deep nesting": frame(holding(Buffer.concat([Buffer.alloc(100, 0x91), Buffer.from([0xc0])]))),
  "very deep nesting": frame(holding(Buffer.concat([Buffer.alloc(900_000, 0x91), Buffer.from([0xc0])]))),
  "a list that announces 2^32 items": frame(holding(Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]))),
  "a map that announces 2^32 items": frame(holding(Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff]))),
  "a text that announces 4 GiB": frame(holding(Buffer.from([0xdb, 0xff, 0xff, 0xff, 0xff]))),
  "invalid UTF-8": frame(holding(Buffer.from([0xa2, 0xff, 0xfe]))),
  "a reserved byte": frame(holding(Buffer.from([0xc1]))),
  "an ext value": frame(holding(Buffer.from([0xd4, 1, 0]))),
  "trailing bytes": frame(Buffer.concat([holding(Buffer.from([0xc0])), Buffer.from([0])])),
  "a message without op": frame(Buffer.from("\x81\xa1x\x01", "latin1")),
  "a message without id": frame(holding(Buffer.from([1]))),
  noise: Buffer.from("bash: warning: something\n".repeat(100)),
};

describe("a broken protocol ends the connection with one clear error", () => {
  it.each(Object.entries(BROKEN))("%s", async (_name, bytes) => {
    const agent = new FakeAgent(HOST, {
      message: (header, fake) => {
        if (header.op === "tempdir") fake.raw(bytes);
      },
    });
    const client = await start(agent);
    const before = process.memoryUsage().rss;
    const others = [1, 2, 3].map(() =>
      failure(
        client.ask("remove", { path: "x", cwd: "" }, () => new EngineFailure({ code: "ERR_OTHER", message: "no" })),
      ),
    );
    const data = await failure(
      client.ask("tempdir", {}, () => new EngineFailure({ code: "ERR_OTHER", message: "no" })),
    );
    expect(data).toMatchObject({
      code: "ERR_CONNECTION",
      message: expect.stringMatching(/broke the protocol/) as string,
    });
    for (const other of await Promise.all(others)) expect(other).toEqual(data);
    expect(agent.isClosed).toBe(true);
    expect(client.alive).toBe(false);
    expect((await client.closed)?.data).toEqual(data);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    await client.close();
  });

  it.each([
    ["an unknown message", { op: "surprise" }],
    ["a `started` without a pid", { op: "started", pid: "7" }],
    ["a stream that does not exist", { op: "data", s: 9 }],
    ["an end for a strange reason", { op: "exit", code: 0, sig: null, why: "boredom", raised: null }],
    ["an end with a code that is a text", { op: "exit", code: "0", sig: null, why: "exit", raised: null }],
    ["an error without a message", { op: "error", kind: "path" }],
    ["credit below zero", { op: "credit", n: -5 }],
  ])("%s of a command that runs", async (_name, fields) => {
    const agent = new FakeAgent(HOST, {
      message: (header, fake) => {
        if (header.op === "run") fake.send({ id: header.integer("id"), ...fields });
      },
    });
    const client = await start(agent);
    const { ended } = startProcess(
      client,
      "run",
      { cmd: "true", cwd: "", env: {}, stdin: false, pty: false, timeout: null, tag: "t" },
      null,
      {
        started: () => undefined,
        progress: () => undefined,
        newFile: () => "",
        output: (_stream, _bytes, release) => release(),
      },
    );
    expect(await failure(ended)).toMatchObject({ code: "ERR_CONNECTION" });
    expect(agent.isClosed).toBe(true);
  });

  it("a listener of ours that fails costs this host, and nothing else", async () => {
    const agent = new FakeAgent(HOST, {
      message: (header, fake) => fake.send({ op: "started", id: header.integer("id"), pid: 1 }),
    });
    const client = await start(agent);
    const [good, bad] = ["good", "bad"].map(
      (kind) =>
        new Promise((ended) => {
          const message = (): void => {
            if (kind === "bad") throw new RangeError("a fault of ours");
          };
          client.open("run", {}, { message, ended });
        }),
    );
    for (const outcome of await Promise.all([good, bad])) {
      expect(outcome).toMatchObject({
        data: {
          code: "ERR_CONNECTION",
          message: expect.stringMatching(/what it sent could not be taken \(a fault of ours\)/) as string,
          cause: { name: "RangeError" },
        },
      });
    }
    expect(agent.isClosed).toBe(true);
  });

  it("a value that comes byte by byte is a value", async () => {
    const text = "x".repeat(200_000);
    const tree = Buffer.concat([Buffer.from([0x92, 0x90, 0xdb, 0, 3, 0x0d, 0x40]), Buffer.from(text)]);
    const size = Buffer.alloc(4);
    size.writeUInt32BE(tree.length);
    const agent = new FakeAgent(HOST, {
      message: (header, fake) => {
        if (header.op !== "call") return;
        const id = header.integer("id");
        fake.sendInBytes({ op: "data", id, s: 3 }, Buffer.concat([size, tree]));
        fake.send({ op: "exit", id, code: 0, sig: null, why: "exit", raised: null });
      },
    });
    const client = await start(agent);
    const { ended } = startProcess(client, "call", {}, null, {
      started: () => undefined,
      progress: () => undefined,
      newFile: () => "",
      output: (_stream, _bytes, release) => release(),
    });
    const { value } = await ended;
    expect(value?.kind === "memory" && Buffer.from(value.tree).equals(tree)).toBe(true);
    await client.close();
  });

  it("frames of operations that nobody started are of no interest", async () => {
    const agent = new FakeAgent(HOST, {
      message: (header, fake) => {
        if (header.op !== "tempdir") return;
        fake.send({ op: "exit", id: 99, code: 0, sig: null, why: "exit", raised: null });
        fake.send({ op: "data", id: 99, s: 1 }, Buffer.from("x"));
        fake.send({ op: "done", id: header.integer("id"), path: Buffer.from("/tmp/x") });
      },
    });
    const client = await start(agent);
    const done = await client.ask("tempdir", {}, () => new EngineFailure({ code: "ERR_OTHER", message: "no" }));
    expect(done.bytes("path").toString()).toBe("/tmp/x");
    await client.close();
  });
});

describe("a start", () => {
  const noise = (size: number): Buffer => Buffer.alloc(size, "login noise\n");
  const greet = (agent: FakeAgent): void => {
    agent.raw(MARKER);
    agent.send(HELLO);
  };

  it.each([
    ["nothing", Buffer.alloc(0)],
    ["a banner", Buffer.from("Welcome!\r\n")],
    ["half a marker", MARKER.subarray(0, 20)],
    ["half a marker, doubled", Buffer.concat([MARKER.subarray(0, 22), MARKER.subarray(0, 5)])],
    ["what would be an error of ours", Buffer.from("lazycluster: no interpreter\nlazycluster: old python 3.7.1\n")],
    ["63 KiB", noise(63 * 1024)],
  ])("with %s before the marker works", async (_name, before) => {
    const client = await start(
      new FakeAgent(HOST, {
        start: (agent) => {
          agent.raw(before);
          greet(agent);
        },
      }),
    );
    expect(client.info.hostname).toBe("fake");
    await client.close();
  });

  it("whose marker comes byte by byte works", async () => {
    const client = await start(
      new FakeAgent(HOST, {
        start: (agent) => {
          for (const byte of MARKER) agent.raw(Buffer.from([byte]));
          agent.send(HELLO);
        },
      }),
    );
    await client.close();
  });

  it.each([
    ["more than 64 KiB of noise", [noise(65 * 1024)], false, /prints more than/],
    ["another version", [MARKER, { ...HELLO, v: 2 }], false, /no agent of ours.*version/],
    ["no hello", [MARKER, { op: "pong", t: 0 }], false, /no agent of ours/],
    ["an incomplete hello", [MARKER, { op: "hello", v: 1 }], false, /no agent of ours/],
    ["noise behind the marker", [MARKER, noise(2000)], false, /no agent of ours/],
    ["an end behind the marker", [MARKER], true, /ended/],
    ["an end before the marker", [noise(100)], true, /login noise/],
    ["no interpreter", [Buffer.from("lazycluster: no interpreter\n")], true, /interpreter/],
  ])("with %s: one clear error, and the connection is closed", async (_name, parts, leaves, says) => {
    const agent = new FakeAgent(HOST, {
      start: (fake) => {
        for (const part of parts) {
          if (Buffer.isBuffer(part)) fake.raw(part);
          else fake.send(part);
        }
        if (leaves) fake.leave();
      },
    });
    const data = await failure(start(agent));
    expect(data.code).toBe("ERR_INVALID_RUNTIME");
    expect(data.message).toMatch(says);
    // What a host prints is shown as text on one line.
    expect(data.message).not.toMatch(/[\0-\x1f]/);
    expect(agent.isClosed).toBe(true);
  });
});

it("a folder of the target's path that does not exist is made", async () => {
  const target = join(base, "inside", "new", "deep", "target");
  await fetch(archive([dir(""), file("a")]), target);
  expect(readFileSync(join(target, "a"), "utf8")).toBe("evil");
  expect(leftovers(dirname(target))).toEqual([]);
});

describe("a value that is none", () => {
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const tree = (bytes: Buffer, ...buffers: Buffer[]): Buffer => Buffer.concat([u32(bytes.length), bytes, ...buffers]);
  /** `[lengths, value]` */
  const pair = (lengths: number[], value: Buffer): Buffer =>
    Buffer.concat([Buffer.from([0x92, 0x90 + lengths.length, ...lengths]), value]);
  const NIL = Buffer.from([0xc0]);

  const VALUES: Record<string, Buffer> = {
    nothing: Buffer.alloc(0),
    "a length that is cut off": Buffer.from([0, 0]),
    "a tree of 4 GiB": Buffer.concat([u32(0xffffffff), NIL]),
    "a tree that is cut off": Buffer.concat([u32(9), NIL]),
    "no pair": tree(NIL),
    "lengths that are no list": tree(Buffer.from([0x92, 1, 0xc0])),
    "a buffer that is cut off": tree(pair([5], NIL), Buffer.from("abc")),
    "bytes that belong to no buffer": tree(pair([1], NIL), Buffer.from("abc")),
    "a buffer that is not there": tree(pair([], Buffer.from([0xd6, 2, 0, 0, 0, 7]))),
    "an integer that is none": tree(pair([], Buffer.concat([Buffer.from([0xc7, 3, 1]), Buffer.from("0x7")]))),
    "an ext of another type": tree(pair([], Buffer.from([0xd4, 9, 0]))),
    "deep nesting": tree(pair([], Buffer.concat([Buffer.alloc(500_000, 0x91), NIL]))),
    "a list that announces 2^32 items": tree(pair([], Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]))),
    "trailing bytes": tree(Buffer.concat([pair([], NIL), NIL])),
  };

  it("fails its task with one clear error, end to end through an interpreter that is a fake", async () => {
    const dist = dirname(LIBRARY);
    for (const [name, value] of Object.entries(VALUES)) {
      const python = space.path("python");
      const script = `#!${process.execPath}
        const { FrameDecoder, encodeFrameHead } = require(${JSON.stringify(join(dist, "wire", "index.js"))});
        const send = (fields, payload = Buffer.alloc(0)) =>
          process.stdout.write(Buffer.concat([encodeFrameHead(fields, payload.length), payload]));
        process.stdout.write(Buffer.from("${MARKER.toString("hex")}", "hex"));
        send(${JSON.stringify(HELLO)});
        const decoder = new FrameDecoder();
        let bootstrap = Buffer.alloc(0);
        let skipped = false;
        process.stdin.on("data", (piece) => {
          if (!skipped) {
            bootstrap = Buffer.concat([bootstrap, piece]);
            const line = bootstrap.indexOf(10) + 1;
            const end = line + Number(bootstrap.subarray(0, line).toString());
            // Behind the agent stands a line with its mode.
            const mode = line === 0 || bootstrap.length < end ? -1 : bootstrap.indexOf(10, end);
            if (mode < 0) return;
            skipped = true;
            piece = bootstrap.subarray(mode + 1);
          }
          for (const { header } of decoder.push(piece)) {
            if (header.op === "bye") process.exit();
            if (header.op === "ping") send({ op: "pong", t: 0 });
            const id = header.op === "hello" || header.op === "ping" ? 0 : header.integer("id");
            if (header.op === "tempdir") send({ op: "done", id, path: Buffer.from("/tmp") });
            if (header.op === "reap" || header.op === "remove") send({ op: "done", id, count: 0, removed: false });
            if (header.op !== "call") continue;
            send({ op: "started", id, pid: 7 });
            send({ op: "data", id, s: 3 }, Buffer.from("${value.toString("base64")}", "base64"));
            send({ op: "exit", id, code: 0, sig: null, why: "exit", raised: null });
          }
        });`;
      writeFileSync(python, script, { mode: 0o755 });
      const runtime = new Runtime("localhost", { python });
      const task = new RuntimeTask().runFunction(py`def f(): return 1`);
      const error = (await rejection(runtime.executeTask(task))) as InstanceType<typeof TaskExecutionError>;
      expect(error, name).toBeInstanceOf(TaskExecutionError);
      expect(error).toMatchObject({ code: "ERR_TASK_FAILED", reason: "failed", stepIndex: 0, host: "localhost" });
      expect(error.message).toMatch(/^localhost: /);
      expect(task.state).toBe("failed");
      expect(await rejection(task.functionReturns.next())).toBe(error);
      expect(await rejection(task.returns())).toBe(error);
      await runtime.close();
    }
  });
});

describe("facts that a host tells", () => {
  const FACTS = {
    os: "Evil\u001b[2J",
    cores: 1.5,
    memory: 1,
    available: 1,
    load: [],
    diskTotal: 1,
    diskFree: 1,
    gpus: ["GPU\u0007"],
    notes: [],
    time: 1,
  };
  const ask = async (facts: object): Promise<Awaited<ReturnType<typeof askFacts>>> => {
    const agent = await start(
      new FakeAgent(HOST, { message: ({ op }, to) => op === "facts" && to.send({ op: "done", id: 2, ...facts }) }),
    );
    try {
      return await askFacts(agent, { kind: "temporary" }, never);
    } finally {
      await agent.close();
    }
  };

  it("are read with their types, and harmless for a terminal", async () => {
    expect((await ask(FACTS)).facts).toMatchObject({ os: "Evil\ufffd[2J", cpuCores: 1.5, gpus: ["GPU\ufffd"] });
  });

  it.each([
    { cores: "many" },
    { cores: 0 },
    { cores: -4 },
    { cores: Infinity },
    { memory: -1 },
    { memory: 2 ** 60 },
    { load: ["high"] },
    { gpus: "all" },
    { os: 7 },
    { notes: [1] },
    { diskFree: undefined },
  ])("of a wrong form are an error that names the host: %o", async (wrong) => {
    expect(await failure(ask({ ...FACTS, ...wrong }))).toMatchObject({ code: "ERR_OTHER" });
  });
});
