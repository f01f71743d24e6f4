/** `.lazyignore` means what git makes of the same file. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { IgnoreRules } from "../../src/host/transfer/ignore";
import { scan } from "../../src/host/transfer/plan";
import { Slices } from "../../src/host/transfer/slices";
import { unless } from "../hosts";

/** Folders with rules of their own that are compared at once. */
const SITES = 24;
const HAS_GIT = spawnSync("git", ["--version"]).status === 0;
const needsGit = unless(!HAS_GIT && "needs git; recorded answers are compared all the same");

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "lazycluster-ignore-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function fill(files: readonly string[], rules: Readonly<Record<string, string>>): void {
  rmSync(root, { recursive: true, force: true });
  for (const file of files) write(file, "");
  for (const [folder, text] of Object.entries(rules)) write(join(folder, ".lazyignore"), text);
  expect(spawnSync("git", ["init", "-q", root]).status).toBe(0);
}
function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

async function ours(): Promise<string[]> {
  const never = new AbortController().signal;
  const { entries } = await scan(root, new Slices("host", never), { leaving: false, ignoring: true });
  const names = entries.filter(({ kind }) => kind === "file").map(({ path }) => path.toString("utf8"));
  return names.filter((name) => !name.startsWith(".git/")).sort();
}
/** Each character a byte. */
function writeBytes(path: string, text: string): void {
  const full = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, "latin1")]);
  mkdirSync(full.subarray(0, full.lastIndexOf("/")), { recursive: true });
  writeFileSync(full, text, "latin1");
}
function gits(encoding: "utf8" | "latin1" = "utf8"): string[] {
  const args = ["-c", "core.ignorecase=false", "ls-files", "-o", "-z", "--exclude-per-directory=.lazyignore"];
  const { status, stdout } = spawnSync("git", args, { cwd: root, encoding });
  expect(status).toBe(0);
  return stdout.split("\0").filter(Boolean).sort();
}

const FILES = ["a", "b.log", "d/a", "d/b.log", "d/e/a", "d/e/b.log", "d/e/f/c", "build/x", "d/build/y", "ünï cödé/a"];

describe("what is left out is what git leaves out", needsGit, () => {
  it.each<[string, Record<string, string>]>([
    ["a name at any depth", { "": "a\n" }],
    ["a pattern", { "": "*.log\n" }],
    ["a folder", { "": "build/\n" }],
    ["a bound path", { "": "/a\n/d/e\n" }],
    ["a path with a slash inside is bound, too", { "": "e/f\nd/e/f\n" }],
    ["a negation", { "": "*.log\n!b.log\n" }],
    ["a negation below what is left out has no effect", { "": "d\n!d/a\n" }],
    ["all but something", { "": "/*\n!/d\n/d/*\n!/d/e\n" }],
    ["double stars", { "": "**/e/**\n" }],
    ["double stars in the middle", { "": "d/**/c\n" }],
    ["comments, empty lines, carriage returns and spaces", { "": "# a\n\n   \r\nb.log  \r\n\\#x\n" }],
    ["a nested file", { d: "a\n" }],
    ["a nested file that is bound", { d: "/a\n/e/f/\n" }],
    ["a nested file that takes back", { "": "*.log\n", d: "!b.log\n" }],
    ["a nested file that takes back a folder", { "": "build\n*.tmp\n", d: "!build\n" }],
    ["a nested file deeper down", { "": "a\n", "d/e": "!a\nf\n" }],
    ["a nested file in a folder with odd characters", { "ünï cödé": "a\n" }],
    ["a file that leaves itself out", { "": ".lazyignore\n", d: "a\n" }],
    ["letters in another case", { "": "A\nBUILD\n" }],
    ["a question mark and a range", { "": "?\n[c-d].x\n" }],
  ])("%s", async (_, rules) => {
    fill(FILES, rules);
    expect(await ours()).toEqual(gits());
  });

  it("with folders whose names look like patterns", async () => {
    fill(["[a]/x", "a/x", "b*/x", "bc/x", "q?/x", "qq/x", "!n/x", "#c/x", "s p/x", "back\\slash/x"], {
      "[a]": "x\n",
      "b*": "x\n",
      "q?": "/x\n",
      "!n": "x\n",
      "#c": "x\n",
      "s p": "x\n",
      "back\\slash": "x\n",
    });
    expect(await ours()).toEqual(gits());
  });

  it("with classes, brackets and escapes", async () => {
    fill(["run-5", "run-x", "a]", "[b", "c d ", "e\\f", "-", "x/run-5"], {
      "": "run-[[:digit:]]\n[]a]]\n\\[b\nc d\\ \ne[\\\\]f\n[+--]\n",
      x: "!run-[![:alpha:]]\n",
    });
    expect(await ours()).toEqual(gits());
    expect(await ours()).toEqual([".lazyignore", "run-x", "x/.lazyignore", "x/run-5"]);
  });
});

/** Rules of three folders, one of them below another, and the bits of the names that git leaves out. */
type Vector = readonly [outer: string, inner: string, deep: string, leftOut: string];
const FOLDERS = ["", "d", "d/e"];
const NAMES = [
  ...[
    "a",
    "b",
    "ab",
    "5",
    "run-5",
    "[",
    "]",
    "[a]",
    "-",
    "^",
    "!",
    "#x",
    " ",
    "a ",
    "\\",
    "*",
    "q?",
    "\xe9",
    "\xc3\xa9",
    "\x0b",
  ],
  ...[
    "\t",
    "A",
    "_",
    ".a",
    "a-b",
    "x/b",
    "x/a/b",
    "d/a",
    "d/ab",
    "d/5",
    "d/[a]",
    "d/a ",
    "d/\x0c",
    "d/e/a",
    "d/e/b",
    "d/e/]",
  ],
  ...["d/e/a-b", "d/e/e/a", "5x/a", "a]/run-5/a"],
];

function leftOut([outer, inner, deep]: Vector): string {
  const rules = new IgnoreRules();
  for (const [index, text] of [outer, inner, deep].entries()) rules.add(FOLDERS[index]!, Buffer.from(text, "latin1"));
  return NAMES.map((name) => (rules.ignores(name, false) ? "1" : "0")).join("");
}

it("for rules of which git was asked before", () => {
  const vectors = JSON.parse(readFileSync(join(__dirname, "ignore-vectors.json"), "utf8")) as Vector[];
  expect(vectors.length).toBeGreaterThan(200);
  for (const vector of vectors) expect([...vector.slice(0, 3), leftOut(vector)]).toEqual(vector);
});

it("for any rules, what is left out is what git leaves out", { timeout: 60_000, ...needsGit }, () => {
  const atom = fc.constantFrom(
    ...[
      "a",
      "b",
      "e",
      "d",
      "5",
      "x",
      "-",
      ".",
      "#",
      "run-",
      "\xe9",
      "\t",
      "\\",
      "\\*",
      "\\[",
      "*",
      "*",
      "**",
      "**/",
      "/**",
      "?",
    ],
    ...[
      "/",
      "/",
      " ",
      "\\ ",
      "[",
      "]",
      "!",
      "^",
      "[!",
      "[^",
      "[a-",
      "-z]",
      "[[:",
      "alpha",
      ":]",
      "[]a]",
      "[\\]]",
      "[a-b]",
      "[]-a]",
    ],
    ...[
      "[--0]",
      "[,-.]",
      ...["digit", "space", "punct", "cntrl", "graph", "print", "xdigit", "none"].map((name) => `[[:${name}:]]`),
    ],
  );
  const pattern = fc
    .tuple(fc.constantFrom("", "", "!"), fc.array(atom, { minLength: 1, maxLength: 5 }), fc.constantFrom("\n", "\r\n"))
    .map(([not, atoms, end]) => not + atoms.join("") + end);
  const text = fc.array(pattern, { maxLength: 3 }).map((lines) => lines.join(""));
  const batch = fc.array(fc.tuple(text, text, text), { minLength: SITES, maxLength: SITES });
  const sites = Array.from({ length: SITES }, (_, site) => `t${String(site)}`);
  for (const site of sites) for (const name of NAMES) writeBytes(`${site}/${name}`, "");
  expect(spawnSync("git", ["init", "-q", root]).status).toBe(0);
  fc.assert(
    fc.property(batch, (cases) => {
      for (const [site, rules] of cases.entries())
        for (const [index, folder] of FOLDERS.entries())
          writeBytes(join(sites[site]!, folder, ".lazyignore"), rules[index]!);
      const kept = new Set(gits("latin1"));
      for (const [site, rules] of cases.entries()) {
        const git = NAMES.map((name) => (kept.has(`${sites[site]!}/${name}`) ? "0" : "1")).join("");
        expect([rules, leftOut([...rules, ""])]).toEqual([rules, git]);
      }
    }),
    { numRuns: 8, endOnFailure: true },
  );
});

it("comes to an end with rules that are made to have none", () => {
  const rules = new IgnoreRules();
  const lines = [
    `${"a*".repeat(60)}b`,
    `/${"**/a*/".repeat(40)}b`,
    `${"*a".repeat(1000)}b`,
    "*".repeat(100_000),
    "[[:".repeat(10_000),
  ];
  rules.add("", Buffer.from(lines.join("\n")));
  const deep = Array.from({ length: 16 }, () => "a".repeat(250)).join("/");
  const fits = (): boolean => rules.ignores(deep, false);
  expect(fits()).toBe(true);
  rules.add("", Buffer.from(lines.slice(0, 3).join("\n")));
  try {
    expect(fits()).toBe(false);
  } catch (error) {
    expect(error).toMatchObject({ message: expect.stringMatching(/too long/) as string });
  }
});

it("what transfers collect and keep is never part of a folder, but anything else with such a name is", () => {
  const rules = new IgnoreRules();
  for (const name of [
    ".lazycluster-0123456789ab",
    "a/.lazycluster-0123456789abcdef",
    ".lazycluster-partial-0123456789abcdef",
  ])
    expect(rules.ignores(name, false)).toBe(true);
  for (const name of [".lazycluster-notes", ".lazycluster", "lazycluster-0123456789ab", ".lazyignore"])
    expect(rules.ignores(name, false)).toBe(false);
});

it("its file may be of any bytes", () => {
  const rules = new IgnoreRules();
  rules.add("", readFileSync(process.execPath).subarray(0, 100_000));
  expect(() => rules.ignores("a", false)).not.toThrow();
});
