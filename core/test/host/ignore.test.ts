/** `.lazyignore` means what git makes of the same file. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { IgnoreRules } from "../../src/host/tree/ignore";
import { scan } from "../../src/host/tree/plan";
import { Slices } from "../../src/host/tree/slices";

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
function gits(): string[] {
  const args = ["-c", "core.ignorecase=false", "ls-files", "-o", "-z", "--exclude-per-directory=.lazyignore"];
  const { status, stdout } = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  expect(status).toBe(0);
  return stdout.split("\0").filter(Boolean).sort();
}

const FILES = ["a", "b.log", "d/a", "d/b.log", "d/e/a", "d/e/b.log", "d/e/f/c", "build/x", "d/build/y", "ünï cödé/a"];

describe("what is left out is what git leaves out", () => {
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

  it("for any rules", { timeout: 60_000 }, async () => {
    const name = fc.constantFrom("a", "b", "*", "a*", "?", "**");
    const pattern = fc
      .tuple(
        fc.constantFrom("", "!"),
        fc.constantFrom("", "/"),
        fc.array(name, { minLength: 1, maxLength: 3 }),
        fc.constantFrom("", "/"),
      )
      .map(([not, start, names, end]) => `${not}${start}${names.join("/")}${end}`);
    const text = fc.array(pattern, { maxLength: 4 }).map((lines) => lines.join("\n"));
    const files = ["ab", "ba", "c/a", "c/b", "a/c/a", "a/b/ab", "a/b/b", "b/a/a", "b/b/c"].map((file) => `x/${file}`);
    await fc.assert(
      fc.asyncProperty(text, text, text, async (outer, inner, deep) => {
        fill(files, { "": outer, x: inner, "x/a": deep });
        expect(await ours()).toEqual(gits());
      }),
      { numRuns: 60 },
    );
  });
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
  rules.add("", readFileSync(process.execPath).subarray(0, 100_000).toString("latin1"));
  expect(() => rules.ignores("a", false)).not.toThrow();
});
