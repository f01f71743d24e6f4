/** Who counts as alive, of all that left something in a state directory. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type * as Journal from "../../src/engine/journal";
import { unless } from "../hosts";

const JOURNAL = join(__dirname, "..", "..", "dist", "engine", "journal");
const { nameOf, ownIdentity, parseName, placeName, spoolPath, standingOf, sweepSockets, sweepSpools } = createRequire(
  __filename,
)(JOURNAL) as typeof Journal;

const own = ownIdentity();
const GONE = { pid: 2 ** 22 + 1, processStart: "1" };
const FIRST = "pid:[4026531836]";
/** In first namespaces it may be this machine before it was started anew. */
const isFirst = own.pidNamespace === FIRST;
const MINUTE = 60_000;

let folder: string;
let former: string | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lc-standing-"));
  former = process.env["TMPDIR"];
  process.env["LAZYCLUSTER_STATE_DIR"] = join(folder, "state");
});
afterEach(() => {
  delete process.env["LAZYCLUSTER_STATE_DIR"];
  if (former === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = former;
  rmSync(folder, { recursive: true, force: true });
});

const ago = (ms: number): Date => new Date(Date.now() - ms);
/** A sign of life that it gave so long ago; null: it ended by itself. */
function gave(who: Journal.ProcessIdentity, ms: number | null): Journal.ProcessIdentity {
  const living = join(folder, "state", "living");
  mkdirSync(living, { recursive: true });
  const path = join(living, nameOf(who));
  if (ms === null) rmSync(path, { force: true });
  else {
    writeFileSync(path, "\n");
    utimesSync(path, ago(ms), ago(ms));
  }
  return who;
}

it("is known for sure only of processes that are seen from here", () => {
  const parent = { ...own, pid: process.ppid, processStart: null };
  expect([own, parent, { ...own, ...GONE }, { ...own, processStart: "1" }].map(standingOf)).toEqual([
    "alive",
    "alive",
    "dead",
    "dead",
  ]);
  // The boot and the namespace tell; a machine that was named anew is the same.
  expect(standingOf({ ...own, machine: "other" })).toBe("alive");
});

it.each([
  ["a container of this machine", { ...own, ...GONE, pidNamespace: "pid:[4026532999]" }],
  ["a container of this machine with this very pid", { ...own, pidNamespace: "pid:[4026532999]" }],
  ["another machine", { ...own, bootId: "b", machine: "other" }],
  ["a container of this name and id on another machine", { ...own, bootId: "b", pidNamespace: "pid:[4026532999]" }],
])(
  "of %s, its signs of life tell: one that gives none for long may be followed, one that ended by itself at once",
  (_, who) => {
    expect([0, 9 * MINUTE, 11 * MINUTE, null].map((ms) => standingOf(gave(who, ms)))).toEqual([
      "elsewhere",
      "elsewhere",
      "silent",
      "silent",
    ]);
  },
);

it(
  "of this machine before it was started anew it is dead, when it is silent as well",
  unless(!isFirst && "runs in a pid namespace of its own, not in the machine's"),
  () => {
    const before = { ...own, bootId: "before" };
    expect([0, MINUTE, 3 * MINUTE, null].map((ms) => standingOf(gave(before, ms)))).toEqual([
      "elsewhere",
      "elsewhere",
      "dead",
      "dead",
    ]);
  },
);

it("goes through a name and back", () => {
  for (const who of [own, { pid: 7, processStart: null, bootId: null, pidNamespace: null, machine: null }]) {
    expect(parseName(nameOf(who))).toEqual(who);
  }
  for (const name of ["", "7", "notes.txt", "7_1_b", "x_1_b_2_m"]) expect(parseName(name)).toBeNull();
});

it("leaves the spools of others where they are, for a month after their last sign", () => {
  const spools = join(spoolPath(), "..", "..");
  const other = { ...own, bootId: "b", machine: "other" };
  const names = {
    mine: nameOf(own),
    dead: nameOf({ ...own, ...GONE }),
    lives: nameOf({ ...other, pid: 11 }),
    silent: nameOf({ ...other, pid: 12 }),
    past: nameOf({ ...other, pid: 13 }),
    foreign: "notes",
  };
  gave({ ...other, pid: 11 }, 0);
  gave({ ...other, pid: 12 }, 60 * MINUTE);
  for (const name of Object.values(names)) mkdirSync(join(spools, name), { recursive: true });
  const month = ago(31 * 24 * 60 * MINUTE);
  for (const name of [names.lives, names.past]) utimesSync(join(spools, name), month, month);
  sweepSpools();
  expect(readdirSync(spools).sort()).toEqual([names.mine, names.lives, names.silent, names.foreign].sort());
});

it("leaves the sockets of containers that share a temporary folder", () => {
  process.env["TMPDIR"] = folder;
  const sockets = join(folder, `lazycluster-control-${String(process.getuid?.() ?? 0)}`);
  const gone = `${String(GONE.pid)}_1`;
  mkdirSync(sockets, { mode: 0o700 });
  for (const name of [`${gone}_${placeName()}_abcdef`, `${gone}_0ther0_abcdef`]) mkdirSync(join(sockets, name));
  sweepSockets();
  expect(readdirSync(sockets)).toEqual([`${gone}_0ther0_abcdef`]);
});
