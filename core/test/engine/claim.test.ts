/** Who may go on with a detached task, and how journals and logs are read while they change hands. */
import { spawn } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type * as Journal from "../../src/engine/journal";
import type * as System from "../../src/system";
import { eventually } from "../support";

const JOURNAL = join(__dirname, "..", "..", "dist", "engine", "journal");
const { IndexReader, JournalReader, LogWriter, claimTask, ownIdentity, readJournals, standingOf } = createRequire(
  __filename,
)(JOURNAL) as typeof Journal;

const { processStat } = createRequire(__filename)(join(JOURNAL, "..", "..", "system")) as typeof System;

const DEAD = { pid: 2 ** 22 + 1, processStart: "1", bootId: null };
const LIVING = { pid: process.pid, processStart: ownIdentity().processStart, bootId: null };
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

  it("has one holder, wherever a process is held up while others give it back and take it", async () => {
    journal("a", 1, DEAD, started(1), detached);
    // Does what it hears, and says what came of it; `slowly`: stops before each call of the file system until it hears more.
    const script = `
      const fs = require("node:fs");
      const hear = () => { let line = "", byte = Buffer.alloc(1); while (fs.readSync(0, byte) === 1 && byte[0] !== 10) line += byte; return line; };
      const say = (text) => fs.writeSync(1, text + "\\n");
      let slowly = false;
      for (const name of ["readdirSync", "readlinkSync", "symlinkSync", "renameSync"]) {
        const real = fs[name];
        fs[name] = (...args) => {
          if (slowly) { say("held up"); hear(); }
          return real(...args);
        };
      }
      const { claimTask, readJournals } = require(${JSON.stringify(JOURNAL)});
      const history = readJournals().find(({ tasks }) => tasks.length > 0);
      let claim = null;
      for (let line = hear(); line !== ""; line = hear()) {
        if (line === "release") claim?.release();
        slowly = line === "claim slowly";
        claim = line === "release" ? null : claimTask(history, ${JSON.stringify(TASK)});
        slowly = false;
        say(claim ? "mine" : "not");
      }
    `;
    const all = Array.from({ length: 3 }, () => {
      const child = spawn(process.execPath, ["-e", script], { stdio: ["pipe", "pipe", "inherit"] });
      const heard = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const ask = async (line: string): Promise<string> => {
        child.stdin.write(`${line}\n`);
        return (await heard.next()).value as string;
      };
      return { child, ask, exited: new Promise((resolve) => child.on("close", resolve)) };
    });
    const [first, slow, other] = all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]];
    const seen = new Map<string, string>();
    /** Of the file system, that a claim makes. */
    let most = 1;
    try {
      // Nobody, or the first one, has it at the beginning; before one call of the slow one that gives it back, before another the third takes it.
      for (const held of [true, false]) {
        for (
          let [gives, takes] = [0, 0];
          gives < most;
          [gives, takes] = takes + 1 < most ? [gives, takes + 1] : [gives + 1, gives + 1]
        ) {
          if (held) expect(await first.ask("claim")).toBe("mine");
          let taken = "not";
          let said = await slow.ask("claim slowly");
          let calls = 0;
          for (; said === "held up"; calls += 1) {
            if (calls === gives) {
              await first.ask("release");
              // The numbers go on.
              if (takes > gives && (await other.ask("claim")) === "mine") await other.ask("release");
            }
            if (calls === takes) taken = await other.ask("claim");
            said = await slow.ask("go on");
          }
          most = Math.max(most, calls);
          // Else it saw that the first one has it, and that one has it still.
          if (calls > takes) seen.set(`${String(held)} ${String(gives)} ${String(takes)}`, `${said} ${taken}`);
          for (const { ask } of all) expect(await ask("release")).toBe("not");
        }
      }
      expect([...seen].filter(([, who]) => who !== "mine not" && who !== "not mine")).toEqual([]);
      expect(new Set(seen.values()).size).toBe(2);
      expect(seen.size).toBeGreaterThan(10);
    } finally {
      for (const { child } of all) child.kill("SIGKILL");
      await Promise.all(all.map(({ exited }) => exited));
    }
  }, 120_000);

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
    const who = { ...ownIdentity(), hostname: "here", startedAt: 1, title: "", controlSocket: "" };
    const reader = new JournalReader(own, { id: "a", ...who });
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
    const record = { ...ownIdentity(), pid, processStart: processStat(pid)!.start };
    expect(standingOf(record)).toBe("alive");
    await eventually(() => standingOf(record) === "dead", 30_000);
    expect(readFileSync(`/proc/${String(pid)}/stat`, "utf8")).toMatch(/\) Z /);
  } finally {
    parent.kill("SIGKILL");
    await exited;
  }
});
