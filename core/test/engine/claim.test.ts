/** Who may go on with a detached task, and how journals and logs are read while they change hands. */
import { spawn } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type * as Journal from "../../src/engine/journal";
import { eventually } from "../support";

const JOURNAL = join(__dirname, "..", "..", "dist", "engine", "journal");
const { IndexReader, JournalReader, LogWriter, claimTask, isAlive, processStart, readJournals } = createRequire(
  __filename,
)(JOURNAL) as typeof Journal;

const DEAD = { pid: 2 ** 22 + 1, processStart: "1", bootId: null };
const LIVING = { pid: process.pid, processStart: processStart(process.pid), bootId: null };
const TASK = "0b9f5c1e-task";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lc-claim-"));
  process.env["LAZYCLUSTER_STATE_DIR"] = folder;
});
afterEach(() => {
  delete process.env["LAZYCLUSTER_STATE_DIR"];
  rmSync(folder, { recursive: true, force: true });
});

const start = { id: TASK, name: "held", host: "host-1", logFile: "/nowhere", startedAt: 1000, steps: [] };
const started = (time: number): object => ({ time, execution: TASK, start });
const detached = { time: 1, execution: TASK, change: { kind: "detached", name: `task-${TASK}` } };
const ended = { time: 2, execution: TASK, change: { kind: "end", state: "done", failure: null, time: 2 } };
const lines = (...events: object[]): string => events.map((event) => `${JSON.stringify(event)}\n`).join("");

/** The journal of an engine; gives its folder. */
function journal(id: string, startedAt: number, who: typeof LIVING, ...events: object[]): string {
  const own = join(folder, "engines", id);
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, "engine.json"), JSON.stringify({ id, ...who, startedAt, title: "", controlSocket: "" }));
  writeFileSync(join(own, "journal.jsonl"), lines(...events));
  return own;
}
const holder = (): Journal.EngineHistory => readJournals().find(({ tasks }) => tasks.some(({ id }) => id === TASK))!;

describe("the claim of a detached task", () => {
  it("is one process's at a time, of many that want it at once, and ends with that process", async () => {
    journal("a", 1, DEAD, started(1), detached);
    const script = `
      const { claimTask, readJournals } = require(${JSON.stringify(JOURNAL)});
      const history = readJournals().find(({ tasks }) => tasks.length > 0);
      process.stdin.once("data", () => process.stdout.write(claimTask(history, ${JSON.stringify(TASK)}) ? "mine" : "not"));
      process.stdout.write("ready ");
    `;
    const all = Array.from({ length: 6 }, () => {
      const child = spawn(process.execPath, ["-e", script], { stdio: ["pipe", "pipe", "inherit"] });
      const one = { child, said: "", exited: new Promise((resolve) => child.on("close", resolve)) };
      child.stdout.setEncoding("utf8").on("data", (text: string) => (one.said += text));
      return one;
    });
    try {
      await eventually(() => all.every(({ said }) => said === "ready "), 60_000);
      for (const { child } of all) child.stdin.write("\n");
      await eventually(() => all.every(({ said }) => said !== "ready "), 60_000);
      expect(all.map(({ said }) => said).sort()).toEqual(["ready mine", ...all.slice(1).map(() => "ready not")]);
      expect(claimTask(holder(), TASK)).toBeNull();
      const mine = all.find(({ said }) => said === "ready mine")!;
      mine.child.kill("SIGKILL");
      await mine.exited;
      expect(claimTask(holder(), TASK)).not.toBeNull();
      // Which is this process's own, now.
      expect(claimTask(holder(), TASK)).toBeNull();
    } finally {
      for (const { child } of all) child.kill("SIGKILL");
      await Promise.all(all.map(({ exited }) => exited));
    }
  }, 120_000);

  it("can be given back", () => {
    journal("a", 1, DEAD, started(1), detached);
    for (let turn = 0; turn < 3; turn += 1) {
      const claim = claimTask(holder(), TASK)!;
      expect(claimTask(holder(), TASK)).toBeNull();
      claim.release();
    }
  });

  it("is refused who looked too early: it was taken over and ended, or is held by another engine now", () => {
    journal("a", 1, DEAD, started(1), detached);
    const early = holder();
    journal("b", 2, LIVING, started(5), detached);
    expect(claimTask(early, TASK)).toBeNull();
    journal("b", 2, DEAD, started(5), detached);
    expect(claimTask(early, TASK)).toBeNull();
    expect(claimTask(holder(), TASK)).not.toBeNull();
    journal("b", 2, DEAD, started(5), detached, ended);
    expect(claimTask(early, TASK)).toBeNull();
    expect(claimTask(holder(), TASK)).toBeNull();
  });
});

describe("journals", () => {
  it("tell who took a task over last, also when that engine is the older one", () => {
    journal("notebook", 1, LIVING, started(9), detached);
    journal("script", 5, DEAD, started(6), detached);
    expect(holder()).toMatchObject({ alive: true, engine: { id: "notebook" } });
  });

  it("are read on from where they were read to, a half line later", () => {
    const own = journal("a", 1, LIVING, started(1));
    const file = join(own, "journal.jsonl");
    const reader = new JournalReader(own, { id: "a", ...LIVING, startedAt: 1, title: "", controlSocket: "" });
    expect(reader.read().tasks).toMatchObject([{ state: "running", detached: null }]);
    expect(reader.read()).toBe(reader.read());
    // What was read is not read again.
    writeFileSync(file, readFileSync(file, "utf8").replace(/./g, "#"));
    const end = lines(ended);
    appendFileSync(file, lines(detached) + end.slice(0, 20));
    expect(reader.read().tasks).toMatchObject([{ state: "running", detached: `task-${TASK}` }]);
    appendFileSync(file, end.slice(20));
    expect(reader.read().tasks).toMatchObject([{ state: "done" }]);
  });
});

describe("the index of a log that another writer goes on with", () => {
  it("is read without gap or repeat, whatever the first one left half done", async () => {
    const file = join(folder, "log");
    const reader = new IndexReader(file);
    const seen = (): number[][] => reader.read().map(({ offset, length }) => [offset, length]);
    const first = LogWriter.create(file, "host-1", () => undefined);
    first.append(0, "stdout", Buffer.from("one\n"), () => undefined);
    await first.flush();
    expect(seen()).toEqual([[0, 4]]);
    appendFileSync(file, "tw");
    appendFileSync(`${file}.index`, "0 stdout 4 ");
    expect(seen()).toEqual([]);
    await first.suspend();
    const second = LogWriter.resume(file, "host-1", () => undefined).log;
    second.append(0, "stdout", Buffer.from("two\n"), () => undefined);
    await second.close();
    expect(seen()).toEqual([[4, 4]]);
    expect([reader.ended, seen(), reader.ended]).toEqual([true, [], true]);
    // Its end was written, but not told.
    const third = LogWriter.resume(file, "host-1", () => undefined).log;
    expect([seen(), reader.ended]).toEqual([[], false]);
    third.append(0, "stderr", Buffer.from("three\n"), () => undefined);
    await third.close();
    expect([seen(), reader.ended]).toEqual([[[8, 6]], true]);
    expect(readFileSync(file, "utf8")).toBe("one\ntwo\nthree\n");
  });
});

it("a process that ended is none that lives, though its parent has not asked for it", async () => {
  // The parent becomes a program that never asks.
  const parent = spawn("sh", ["-c", "sleep 0.2 & echo $!; exec sleep 300"], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise((resolve) => parent.on("close", resolve));
  try {
    const pid = await new Promise<number>((resolve) => parent.stdout.once("data", (text) => resolve(Number(text))));
    const record = { pid, processStart: processStart(pid), bootId: null };
    expect(record.processStart).not.toBeNull();
    await eventually(() => !isAlive(record), 30_000);
    expect(readFileSync(`/proc/${String(pid)}/stat`, "utf8")).toMatch(/\) Z /);
  } finally {
    parent.kill("SIGKILL");
    await exited;
  }
});
