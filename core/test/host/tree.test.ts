import fc from "fast-check";
import { posix } from "path";
import { describe, expect, it } from "vitest";
import { TreeCheck, type TreeEntry, staysInside } from "../../src/host/tree/entry";
import { WireError } from "../../src/wire";

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
    ["an empty link", [root, entry(["a"], "link", "")]],
  ])("may not have %s", (_, entries) => {
    expect(() => check(...entries)).toThrow(WireError);
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
