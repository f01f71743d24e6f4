/** Output: complete, exact, bounded in memory. */
import { createHash } from "node:crypto";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts } from "../hosts";
import {
  Runtime,
  RuntimeTask,
  type Workspace,
  agentAndKeeper,
  eventually,
  expectCleanHost,
  processesWith,
  residentBytes,
  startManager,
  workspace,
} from "../support";
import { openAgent, startProcess } from "../support/engine-parts";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

let hosts: TestHosts;
let host: TestHost;
let space: Workspace;

beforeAll(async () => {
  hosts = await startHosts();
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

async function digest(file: string): Promise<string> {
  const hash = createHash("sha1");
  for await (const piece of createReadStream(file, { highWaterMark: MIB })) hash.update(piece as Buffer);
  return hash.digest("hex");
}

/** Of `pattern`, repeated and cut. */
function digestOf(pattern: string, size: number): string {
  const block = Buffer.from(pattern.repeat(Math.ceil(MIB / pattern.length)));
  const hash = createHash("sha1");
  let left = size;
  for (; left >= block.length; left -= block.length) hash.update(block);
  return hash.update(block.subarray(0, left)).digest("hex");
}

it(
  "a command that prints 1 GiB without a newline: the log file is byte for byte complete, manager and agent stay within 64 MiB above their base",
  { timeout: 120_000 },
  async () => {
    const pattern = "0123456789abcdefghijklmnopqrstuvwxyz.";
    const script = startManager(
      `
      const runtime = new Runtime("host-1");
      await runtime.executeTask(new RuntimeTask().runCommand("yes " + input.pattern + " | head -c 20000000"));
      global.gc();
      say("ready");
      await heard();
      const task = new RuntimeTask("flood").runCommand("yes " + input.pattern + " | tr -d '\\n' | head -c " + input.size);
      await runtime.executeTask(task);
      say("done", { log: task.executionLogFilePath, state: task.state });
      await runtime.close();
      `,
      { env: space.env, input: { pattern, size: GIB }, nodeArgs: ["--expose-gc"] },
    );
    await script.hear("ready");
    const { agent } = await agentAndKeeper(host);
    const base = { manager: script.rss(), agent: residentBytes(agent.outerPid) };
    const most = { ...base };
    const sampler = setInterval(() => {
      most.manager = Math.max(most.manager, script.rss());
      most.agent = Math.max(most.agent, residentBytes(agent.outerPid));
    }, 20);
    const start = performance.now();
    script.tell("go");
    const { log, state } = await script.hear<{ log: string; state: string }>("done", 100_000);
    const seconds = (performance.now() - start) / 1000;
    clearInterval(sampler);
    expect(state).toBe("done");
    expect(statSync(log).size).toBe(GIB);
    expect(await digest(log)).toBe(digestOf(pattern, GIB));
    const grown = { manager: (most.manager - base.manager) / MIB, agent: (most.agent - base.agent) / MIB };
    console.log(
      `1 GiB in ${seconds.toFixed(1)} s; manager ${(base.manager / MIB).toFixed(0)} + ${grown.manager.toFixed(1)} MiB, ` +
        `agent ${(base.agent / MIB).toFixed(0)} + ${grown.agent.toFixed(1)} MiB`,
    );
    expect(grown.manager).toBeLessThan(64);
    expect(grown.agent).toBeLessThan(64);
    await script.exited;
    await expectCleanHost(host, 2000);
  },
);

it("a reader that stops stops the producer, and nothing else; when it goes on, so does the producer", async () => {
  const agent = await openAgent("host-1", hosts.configFile);
  const total = 64 * MIB;
  const counting = `
import os, sys
sent = 0
while sent < ${total}:
    sent += os.write(1, bytes([sent // 65536 % 251]) * 65536)
    with open("/tmp/progress", "w") as file: file.write(str(sent))
`;
  const fields = {
    cmd: 'exec python3 -c "$CODE"',
    cwd: "",
    env: { CODE: counting },
    stdin: false,
    pty: false,
    timeout: null,
    tag: "t/1",
  };
  const held: (() => void)[] = [];
  let stopped = true;
  let received = 0;
  const hash = createHash("sha1");
  const flood = startProcess(agent, "run", fields, null, {
    progress: () => undefined,
    newFile: () => "",
    started: () => undefined,
    output: (_stream, bytes, release) => {
      received += bytes.length;
      hash.update(bytes);
      if (stopped) held.push(release);
      else release();
    },
  });
  const progress = (): number => Number(readFileSync(join(host.dir, "tmp", "progress"), "utf8"));
  // Stalled: while many other commands come and go over the same connection, this one does not move.
  let still = 0;
  let last = -1;
  await eventually(async () => {
    const echo = startProcess(agent, "run", { ...fields, cmd: "echo hello", env: {} }, null, {
      started: () => undefined,
      progress: () => undefined,
      newFile: () => "",
      output: (_stream, _bytes, release) => release(),
    });
    expect((await echo.ended).code).toBe(0);
    const now = progress();
    still = now === last ? still + 1 : 0;
    last = now;
    return still >= 20;
  }, 15_000);
  expect(received).toBeGreaterThan(MIB / 2);
  expect(received).toBeLessThanOrEqual(2 * MIB);
  // What the pipe and the agent hold is little.
  expect(progress() - received).toBeLessThanOrEqual(MIB);
  stopped = false;
  for (const release of held.splice(0)) release();
  expect(await flood.ended).toMatchObject({ code: 0, why: "exit" });
  expect(received).toBe(total);
  const expected = createHash("sha1");
  for (let sent = 0; sent < total; sent += 65536) expected.update(Buffer.alloc(65536, (sent / 65536) % 251));
  expect(hash.digest("hex")).toBe(expected.digest("hex"));
  await agent.close();
  await expectCleanHost(host, 2000);
});

describe("bytes", () => {
  it("binary and invalid UTF-8 output is exact in the file, by step and stream", async () => {
    const everything = `
import os, random
random.seed(7)
for i in range(200):
    os.write(1, bytes(range(256)))
    os.write(2, bytes(reversed(range(256))))
    os.write(1, b"\\xff\\xfe\\xc3(\\xed\\xa0\\x80\\x00\\r\\n\\x1b[31m")
`;
    const runtime = new Runtime("host-1", { env: { CODE: everything } });
    const task = new RuntimeTask("bytes")
      .runCommand('python3 -c "$CODE"')
      .runCommand("printf 'no newline \\377'")
      .runCommand("true");
    await runtime.executeTask(task);
    const all = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    const odd = Buffer.from("\xff\xfe\xc3(\xed\xa0\x80\x00\r\n\x1b[31m", "latin1");
    const stdout = Buffer.concat(Array.from({ length: 200 }, () => Buffer.concat([all, odd])));
    const stderr = Buffer.concat(Array.from({ length: 200 }, () => Buffer.from(all).reverse()));
    const read = async (step?: number, stream?: "stdout" | "stderr"): Promise<Buffer> => {
      const pieces: Buffer[] = [];
      for await (const piece of task.openLog(step, stream)) pieces.push(piece);
      return Buffer.concat(pieces);
    };
    expect((await read(0, "stdout")).equals(stdout)).toBe(true);
    expect((await read(0, "stderr")).equals(stderr)).toBe(true);
    expect((await read(1)).equals(Buffer.from("no newline \xff", "latin1"))).toBe(true);
    expect((await read(2)).length).toBe(0);
    expect((await readFile(task.executionLogFilePath!)).equals(await read())).toBe(true);
    expect(statSync(task.executionLogFilePath!).size).toBe(stdout.length + stderr.length + 12);
    expect(task.executionLog[0]).toBe(Buffer.concat([await read(0)]).toString("utf8"));
    expect(task.executionLog.slice(1)).toEqual(["no newline \ufffd", ""]);
    await runtime.close();
  });

  it("the last 1 MiB of a step is in `executionLog` after a note that says so; the file has all", async () => {
    const runtime = new Runtime("host-1");
    const task = new RuntimeTask("long").runCommand("seq 1 300000").runCommand("echo short");
    await runtime.executeTask(task);
    const all = Array.from({ length: 300_000 }, (_, index) => `${index + 1}\n`).join("");
    const [entry, short] = task.executionLog;
    const note = entry!.slice(0, entry!.indexOf("\n") + 1);
    expect(note).toContain(task.executionLogFilePath!);
    expect(entry!.slice(note.length)).toBe(all.slice(-MIB));
    expect(short).toBe("short\n");
    expect(readFileSync(task.executionLogFilePath!, "utf8")).toBe(`${all}short\n`);
    await runtime.close();
  });

  it("output of many tasks at once is never mixed, and stdout and stderr of one keep their order", async () => {
    const runtime = new Runtime("host-1");
    const tasks = Array.from({ length: 20 }, (_, index) =>
      new RuntimeTask(`mix-${index}`).runCommand(
        `for i in $(seq 300); do echo ${index} out $i; echo ${index} err $i >&2; done`,
      ),
    );
    await Promise.all(tasks.map((task) => runtime.executeTask(task)));
    for (const [index, task] of tasks.entries()) {
      for (const [stream, word] of [
        ["stdout", "out"],
        ["stderr", "err"],
      ] as const) {
        const pieces: Buffer[] = [];
        for await (const piece of task.openLog(0, stream)) pieces.push(piece);
        const expected = Array.from({ length: 300 }, (_, line) => `${index} ${word} ${line + 1}\n`).join("");
        expect(Buffer.concat(pieces).toString()).toBe(expected);
      }
    }
    await runtime.close();
  });
});

it("a step that leaves a background server running ends; the server serves later steps until close(), then it is gone", async () => {
  const server = `
import http.server, os, sys
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
with open("port.tmp", "w") as file: file.write(str(server.server_port))
os.rename("port.tmp", "port")
while True:
    server.handle_request()
    print("served, and still printing", file=sys.stderr, flush=True)
`;
  const ask = "python3 -c \"import urllib.request as r; print(r.urlopen('http://127.0.0.1:$(cat port)/').status)\"";
  const runtime = new Runtime("host-1", { env: { CODE: server } });
  const other = new Runtime("host-1");
  await other.workingDir;
  const start = performance.now();
  const task = new RuntimeTask("server")
    .runCommand('python3 -c "$CODE" & while [ ! -e port ]; do sleep 0.05; done; echo up')
    .runCommand(ask);
  await runtime.executeTask(task);
  expect(performance.now() - start).toBeLessThan(4000);
  expect(task.executionLog.map((text) => text.split("\n")[0])).toEqual(["up", "200"]);
  // Later tasks too; the many lines that nobody reads do not stop it.
  for (let index = 0; index < 3; index++) {
    const later = new RuntimeTask().runCommand(ask);
    await runtime.executeTask(later);
    expect(later.executionLog).toEqual(["200\n"]);
  }
  await processesWith(host, /^python3 .*HTTPServer/s, 1);
  await runtime.close();
  await processesWith(host, /^python3 .*HTTPServer/s, 0);
  await other.executeTask(new RuntimeTask().runCommand("true"));
  await other.close();
  await expectCleanHost(host, 2000);
});
