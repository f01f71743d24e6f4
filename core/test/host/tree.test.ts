import fc from "fast-check";
import { posix } from "path";
import { describe, expect, it } from "vitest";
import { TreeCheck, type TreeEntry, staysInside } from "../../src/host/transfer/entry";
import { MAX_PATHS, WireError } from "../../src/wire";

function entry(path: string[], kind: TreeEntry["kind"] = "file", target = ""): TreeEntry {
  return {
    path: Buffer.from(path.join("/")),
    kind,
    mode: 0o644,
    mtime: 0n,
    size: 0,
    extra: Buffer.from(target),
  };
}
function check(...entries: TreeEntry[]): void {
  const checker = new TreeCheck();
  for (const each of entries) checker.accept(each);
}
const root = entry([], "dir");
/** A target of a link. */
const FAR = Buffer.alloc(3900, "x");

describe("a tree from a host", () => {
  it("may have files, folders and links that stay inside", () => {
    expect(() =>
      check(root, entry(["a"], "dir"), entry(["a", "b"]), entry(["a", "c"], "link", "../a/b"), entry(["..."])),
    ).not.toThrow();
    expect(() => check(entry([]))).not.toThrow();
  });

  it.each<[string, TreeEntry[]]>([
    ["..", [root, entry([".."])]],
    ["a way up", [root, entry(["a"], "dir"), entry(["a", "..", "b"])]],
    [".", [root, entry(["."])]],
    ["an empty name", [root, entry([""])]],
    ["a slash in a name", [root, entry(["a/b"])]],
    ["an absolute name", [root, entry(["/etc/passwd"])]],
    ["a NUL in a name", [root, entry(["a\0b"])]],
    ["a path twice", [root, entry(["a"]), entry(["a"])]],
    ["something below a file", [root, entry(["a"]), entry(["a", "b"])]],
    ["something below a link", [root, entry(["a"], "link", "b"), entry(["a", "b"])]],
    ["something below a folder that was not sent", [root, entry(["a", "b"])]],
    ["something beside a file as the root", [entry([]), entry(["a"])]],
    ["no root", [entry(["a"])]],
    ["two roots", [root, entry([], "dir")]],
    ["a link as the root", [entry([], "link", "x")]],
    ["an absolute link", [root, entry(["a"], "link", "/etc")]],
    ["a link out", [root, entry(["a"], "link", "../x")]],
    ["a link out by a detour", [root, entry(["a"], "dir"), entry(["a", "b"], "link", "../../x")]],
    ["a link out through another link", [root, entry(["up"], "link", "a/../.."), entry(["a"], "dir")]],
    ["a link with a NUL", [root, entry(["a"], "link", "x\0y")]],
    ["a name of 256 bytes", [root, entry(["x".repeat(256)])]],
    ["an empty link", [root, entry(["a"], "link", "")]],
  ])("may not have %s", (_, entries) => {
    expect(() => check(...entries)).toThrow(WireError);
  });

  it("may take only so much memory with its paths", () => {
    const checker = new TreeCheck();
    checker.accept(root);
    const folder = "d".repeat(200);
    checker.accept(entry([folder], "dir"));
    // No more than is needed for the names: what counts is their sum.
    const accept = (index: number): string => {
      const name = String(index).padStart(247, "x");
      return checker.accept({ ...entry([folder, name], "link"), extra: FAR });
    };
    const most = Math.floor((MAX_PATHS - 200) / (200 + 1 + 247 + FAR.length));
    for (let index = 0; index < most; index++) accept(index);
    expect(() => accept(most)).toThrow(/paths of more than 268435456 bytes/);
  });

  it("has no link that is accepted and leads out", () => {
    const part = fc.constantFrom("..", ".", "a", "b", "");
    fc.assert(
      fc.property(fc.nat(4), fc.array(part, { minLength: 1, maxLength: 8 }), (depth, parts) => {
        const target = parts.join("/");
        if (!staysInside(depth, Buffer.from(target))) return;
        const folder = `/root${"/d".repeat(depth)}`;
        expect(posix.resolve(folder, target).startsWith("/root")).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });
});
