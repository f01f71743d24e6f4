/** Bytes, files and folders that their seed makes again. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Random } from "./random";

export function bytesOf(size: number, seed: number): Buffer {
  const block = createHash("sha512").update(String(seed)).digest();
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += block.length) {
    block.copy(bytes, at);
    // Else a piece in the wrong place would not be seen.
    if (at + 8 <= size) bytes.writeDoubleLE(at, at);
  }
  return bytes;
}

export function sha256(data: Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

/** By relative path. */
export type Tree = ReadonlyMap<string, string>;

/** What `files` files of this seed are called, and hold. Some names and folders are those of other seeds too. */
export function treeOf(files: number, seed: number): Map<string, Buffer> {
  const random = Random.of(seed, files);
  const tree = new Map<string, Buffer>();
  for (let index = 0; index < files; index++) {
    const folder = random.pick(["", "", "sub/", "sub/deep er/", 'o"dd\n$(x)/', "ünï/"]);
    const own = random.chance(0.5) ? `-${seed}` : "";
    tree.set(`${folder}file ${index}${own}`, bytesOf(random.chance(0.1) ? 0 : random.size(1, 40_000), seed));
  }
  return tree;
}

/** Makes the folder, once. Its times differ from those of other seeds, as they would where a user changed a file. */
export function makeTree(root: string, files: number, seed: number): string {
  const path = join(root, `tree-${files}-${seed}`);
  if (existsSync(path)) return path;
  let count = 0;
  for (const [name, content] of treeOf(files, seed)) {
    const file = join(path, name);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, content);
    count += 1;
    const time = 1_600_000_000 + seed * 1000 + count;
    utimesSync(file, time, time);
  }
  return path;
}

/** Makes the file, once. */
export function makeFile(root: string, bytes: number, seed: number): string {
  const path = join(root, `file-${bytes}-${seed}`);
  if (!existsSync(path)) writeFileSync(path, bytesOf(bytes, seed));
  return path;
}

/** The hashes of all files of a folder; null where there is none. */
export function readTree(root: string): Tree | null {
  if (!existsSync(root)) return null;
  const names = readdirSync(root, { recursive: true, withFileTypes: true });
  return new Map(
    names
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(root.length + 1), sha256(readFileSync(path))]),
  );
}

export function hashesOf(tree: ReadonlyMap<string, Buffer>): Tree {
  return new Map([...tree].map(([name, content]) => [name, sha256(content)]));
}
