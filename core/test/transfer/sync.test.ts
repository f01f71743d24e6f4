/** syncFolder: a folder becomes as another one; only what differs travels, and nothing is lost that nobody gave up. */
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { needsIsolation, unless } from "../hosts";
import { LIBRARY, RuntimeTask, type SyncOptions, rejection, startManager } from "../support";
import { shapeOf, useSite } from "./site";

const site = useSite();
const TIME = new Date("2001-02-03T04:05:06.789Z");
const DIRECTIONS = ["up", "down"] as const;
type Direction = (typeof DIRECTIONS)[number];

/** Source and target of a direction, as this machine sees both. */
function sides(direction: Direction): { source: string; target: string } {
  const [here, there] = [join(site.local, "folder"), join(site.seen, "folder")];
  return direction === "up" ? { source: here, target: there } : { source: there, target: here };
}
async function sync(direction: Direction, options: SyncOptions = {}): Promise<string> {
  const task = new RuntimeTask("sync").syncFolder(join(site.local, "folder"), "folder", { direction, ...options });
  await site.runtime.executeTask(task);
  return task.executionLog[0]!;
}
function write(root: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
}
function makeTree(root: string): void {
  write(root, { plain: "plain", "empty file": "", "sub/run.sh": "#!/bin/sh\n", "private/secret": "secret" });
  mkdirSync(join(root, "empty"));
  write(root, { "odd\nname $(x) 'ü'/f\u00fc\n\t*": "odd", "-rf": "dash", "~": "home" });
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x63, 0xe9, 0xff])]), "no UTF-8");
  writeFileSync(join(root, "sub", "binary"), randomBytes(300_000));
  symlinkSync("plain", join(root, "link"));
  symlinkSync("../plain", join(root, "sub", "link up"));
  symlinkSync("nowhere", join(root, "dangling"));
  chmodSync(join(root, "sub", "run.sh"), 0o755);
  chmodSync(join(root, "private"), 0o500);
  for (const name of ["plain", "sub/run.sh", "sub", "empty", "private", "."]) utimesSync(join(root, name), TIME, TIME);
}

describe.each(DIRECTIONS)("%s", (direction) => {
  it("all of a folder arrives: contents, modes, times, links, odd names; then nothing has to", async () => {
    const { source, target } = sides(direction);
    makeTree(source);
    const shape = shapeOf(source);
    expect(await sync(direction)).toMatch(/^\d+ new, 0 changed, 0 deleted, 0 unchanged, 30\d\d\d\d bytes\n$/);
    expect(shapeOf(target)).toEqual(shape);
    expect(await sync(direction, { delete: true })).toMatch(/^0 new, 0 changed, 0 deleted, \d+ unchanged, 0 bytes\n$/);
    expect(shapeOf(target)).toEqual(shape);
  });

  it("only what changed travels; what was added at the target stays", async () => {
    const { source, target } = sides(direction);
    makeTree(source);
    await sync(direction);
    const untouched = statSync(join(target, "sub", "binary")).ino;
    write(source, { plain: "other", "new/deep/file": "new" });
    chmodSync(join(source, "sub", "run.sh"), 0o700);
    unlinkSync(join(source, "link"));
    symlinkSync("empty file", join(source, "link"));
    rmSync(join(source, "dangling"));
    utimesSync(join(source, "empty"), TIME, new Date(0));
    write(target, { mine: "mine", "sub/mine": "mine" });
    expect(await sync(direction)).toMatch(/^3 new, 3 changed, 0 deleted, \d+ unchanged, 8 bytes\n$/);
    const now = shapeOf(target);
    expect(now).toMatchObject(shapeOf(source));
    for (const name of ["./mine", "./sub/mine", "./dangling"]) expect(now).toHaveProperty([name]);
    expect(statSync(join(target, "sub", "binary")).ino).toBe(untouched);
  });

  it("the same content with another time is not sent again, but gets the time; another one of the same size is", async () => {
    const { source, target } = sides(direction);
    write(source, { same: "12345", other: "12345" });
    await sync(direction);
    const untouched = statSync(join(target, "same")).ino;
    write(source, { other: "54321" });
    utimesSync(join(source, "same"), TIME, TIME);
    utimesSync(join(source, "other"), TIME, TIME);
    expect(await sync(direction)).toBe("0 new, 2 changed, 0 deleted, 0 unchanged, 5 bytes\n");
    expect(shapeOf(target)).toEqual(shapeOf(source));
    expect(statSync(join(target, "same")).ino).toBe(untouched);
  });

  it("times before 1970, on its edge and in the far future arrive, and it comes to rest", async () => {
    const { source, target } = sides(direction);
    const times = [
      "1966-10-03 11:14:01.250000001",
      "1969-12-31 23:59:59.999999999",
      "1970-01-01",
      "1902-01-01",
      "2242-03-16 12:56:32.123457001",
    ];
    // The last is more than a record can hold.
    const paths = [...times, "2300-01-01"].map((time, index) => {
      const path = join(source, String(index));
      write(source, { [`${index}/file`]: "x" });
      if (index === 0) symlinkSync("file", join(path, "link"));
      for (const name of index === 0 ? ["file", "link", "."] : ["file", "."])
        execFileSync("touch", ["-h", "-d", `${time} UTC`, join(path, name)]);
      return path;
    });
    expect(paths).toHaveLength(6);
    await sync(direction);
    const [from, to] = [shapeOf(source), shapeOf(target)];
    for (const index of [0, 1, 2, 3])
      for (const name of ["", "/file"]) expect(to[`./${index}${name}`]).toEqual(from[`./${index}${name}`]);
    expect(lstatSync(join(target, "0", "link")).mtime.getUTCFullYear()).toBe(1966);
    expect(statSync(join(target, "4", "file")).mtime).toEqual(statSync(join(source, "4", "file")).mtime);
    expect(statSync(join(target, "5", "file")).mtime.getUTCFullYear()).toBe(2262);
    expect(await sync(direction, { delete: true })).toMatch(/^0 new, 0 changed, 0 deleted, 13 unchanged, 0 bytes\n$/);
    const before = to;
    expect(shapeOf(target)).toEqual(before);
    // The other way round there is nothing to do, either.
    const back = direction === "up" ? "down" : "up";
    expect(await sync(back, { delete: true })).toMatch(/^0 new, 0 changed, 0 deleted, 13 unchanged, 0 bytes\n$/);
  });

  it("what looks the same is compared by its content with `verify`", async () => {
    const { source, target } = sides(direction);
    write(source, { a: "12345", b: "12345" });
    await sync(direction);
    const { mtime } = statSync(join(target, "a"));
    writeFileSync(join(target, "a"), "1234X");
    utimesSync(join(target, "a"), mtime, statSync(join(source, "a")).mtime);
    const { mtimeMs } = statSync(join(source, "a"));
    utimesSync(join(source, "a"), mtimeMs / 1000, Math.floor(mtimeMs) / 1000);
    utimesSync(join(target, "a"), mtimeMs / 1000, Math.floor(mtimeMs) / 1000);
    expect(await sync(direction)).toBe("0 new, 0 changed, 0 deleted, 2 unchanged, 0 bytes\n");
    expect(await sync(direction, { verify: "hash" })).toBe("0 new, 1 changed, 0 deleted, 1 unchanged, 5 bytes\n");
    expect(readFileSync(join(target, "a"), "utf8")).toBe("12345");
  });

  it("with `delete` what is gone at the source goes, folders too, and kinds may change", async () => {
    const { source, target } = sides(direction);
    write(source, { keep: "x", "was a folder": "x", "was a file/x": "x", "was a link/x": "x" });
    write(target, { "old/deep/a": "x", "old/b": "x", "was a folder/with/content": "x", "was a file": "x" });
    symlinkSync("/", join(target, "was a link"));
    symlinkSync("..", join(target, "old", "link"));
    expect(await sync(direction, { delete: true })).toMatch(/^6 new, 0 changed, 10 deleted, 0 unchanged, 4 bytes\n$/);
    expect(shapeOf(target)).toEqual(shapeOf(source));
  });

  it("without `delete` a kind that changed is one clear error, and nothing has changed", async () => {
    const { source, target } = sides(direction);
    write(source, { a: "new", z: "x" });
    write(target, { a: "old", "z/x": "x" });
    expect(await rejection(site.runtime.syncFolder(join(site.local, "folder"), "folder", { direction }))).toMatchObject(
      {
        code: "ERR_TASK_FAILED",
        message: expect.stringMatching(/\/z\b/) as string,
      },
    );
    expect(readFileSync(join(target, "a"), "utf8")).toBe("old");
  });

  it("what `.lazyignore` names does not travel, and is never deleted; nested files count as in git", async () => {
    const { source, target } = sides(direction);
    write(source, {
      ".lazyignore": "*.tmp\n/data/\nbuild\n",
      "sub/.lazyignore": "!keep.tmp\nlocal\n",
      "a.tmp": "x",
      "data/big": "x",
      "sub/keep.tmp": "x",
      "sub/local/x": "x",
      "sub/data/x": "x",
      "build/x": "x",
    });
    write(target, {
      "there.tmp": "x",
      "data/there": "x",
      "build/there": "x",
      "sub/local/there": "x",
      "old/x.tmp": "x",
    });
    write(target, { "old/y": "x", "sub/gone": "x" });
    expect(await sync(direction, { delete: true })).toMatch(/^5 new, 0 changed, 2 deleted, 1 unchanged,/);
    const names = Object.keys(shapeOf(target)).filter((name) => shapeOf(target)[name]!.kind === "file");
    expect(names.sort()).toEqual(
      [
        "./.lazyignore",
        "./build/there",
        "./data/there",
        "./old/x.tmp",
        "./sub/.lazyignore",
        "./sub/data/x",
        "./sub/keep.tmp",
        "./sub/local/there",
        "./there.tmp",
      ].sort(),
    );
  });

  it("what `.lazyignore` names by classes, brackets and escapes is never deleted either", async () => {
    const { source, target } = sides(direction);
    write(source, {
      ".lazyignore": "run-[[:digit:]]\n[]x]]\n\\[y\nz[!-]\n\u00e9?\n",
      "sub/.lazyignore": "!run-[[:digit:]]\n",
    });
    const there = ["run-5", "]]", "x]", "[y", "za", "\u00e9x", "sub/x]"];
    const gone = ["run-x", "y", "z-", "\u00e9", "sub/run-5"];
    write(target, Object.fromEntries([...there, ...gone].map((name) => [name, "x"])));
    expect(await sync(direction, { delete: true })).toMatch(/^2 new, 0 changed, 5 deleted,/);
    const names = readdirSync(target, { recursive: true, encoding: "utf8" });
    expect(names.sort()).toEqual([".lazyignore", "sub", "sub/.lazyignore", ...there].sort());
  });

  it("a nested `.lazyignore` that is itself left out counts, as in git", async () => {
    const { source, target } = sides(direction);
    write(source, { ".lazyignore": ".lazyignore\n", "sub/.lazyignore": "kept\n", "sub/a": "a" });
    write(target, { "sub/kept": "kept", "sub/gone": "gone" });
    await sync(direction, { delete: true });
    expect(readdirSync(join(target, "sub")).sort()).toEqual(["a", "kept"]);
  });

  it("a dry run says what would happen, and changes nothing", async () => {
    const { source, target } = sides(direction);
    write(source, { a: "new", "b\n": "x", same: "x" });
    await sync(direction);
    write(source, { a: "other" });
    write(source, { c: "x" });
    write(target, { extra: "x" });
    const before = shapeOf(target);
    const log = await sync(direction, { delete: true, dryRun: true });
    expect(log).toBe(
      'new "c"\nchanged "a"\ndeleted "extra"\ndry run: 1 new, 1 changed, 1 deleted, 2 unchanged, 6 bytes\n',
    );
    expect(shapeOf(target)).toEqual(before);
  });

  it(
    "of 10,000 files and 200 folders: all arrive, and then only the one that changed travels",
    { timeout: 60_000 },
    async () => {
      const { source, target } = sides(direction);
      for (let folder = 0; folder < 200; folder++) {
        mkdirSync(join(source, String(folder)), { recursive: true });
        for (let file = 0; file < 50; file++)
          writeFileSync(join(source, String(folder), String(file)), `${folder}/${file}`);
      }
      expect(await sync(direction)).toMatch(/^10200 new, 0 changed, 0 deleted, 0 unchanged, /);
      writeFileSync(join(source, "77", "7"), "changed");
      rmSync(join(source, "13"), { recursive: true });
      const start = performance.now();
      const task = new RuntimeTask().syncFolder(join(site.local, "folder"), "folder", { direction, delete: true });
      const progress: unknown[] = [];
      task.on("progress", ({ bytes, totalBytes, files, totalFiles }) =>
        progress.push([bytes, totalBytes, files, totalFiles]),
      );
      await site.runtime.executeTask(task);
      console.log(`10,000 files synced ${direction} in ${(performance.now() - start).toFixed(0)} ms`);
      expect(task.executionLog[0]).toBe("0 new, 1 changed, 51 deleted, 10148 unchanged, 7 bytes\n");
      expect(progress.at(-1)).toEqual([7, 7, 1, 1]);
      expect(readFileSync(join(target, "77", "7"), "utf8")).toBe("changed");
      expect(readdirSync(target)).toHaveLength(199);
    },
  );
});

it("is data for the task: description, kind, defaults", async () => {
  write(site.local, { "project/a": "x" });
  const task = new RuntimeTask().syncFolder(`${join(site.local, "project")}/`);
  expect(task.steps[0]).toMatchObject({
    kind: "syncFolder",
    description: expect.stringContaining("project") as string,
  });
  await site.runtime.executeTask(task);
  expect(readFileSync(join(site.seen, "project", "a"), "utf8")).toBe("x");
  const missing = new RuntimeTask().syncFolder(join(site.local, "back"), "nothing", { direction: "down" });
  expect(await rejection(site.runtime.executeTask(missing))).toMatchObject({
    message: expect.stringMatching(/no folder "nothing"/) as string,
  });
  await site.runtime.syncFolder(join(site.local, "back"), "project", { direction: "down" });
  expect(readFileSync(join(site.local, "back", "a"), "utf8")).toBe("x");
});

it("(down) deletes nothing in the home directory, nor beside it, by whatever name somebody comes there", async () => {
  write(site.seen, { "folder/new": "x" });
  write(site.local, { "data/home/precious": "x", "data/home/work/old": "x", "data/other/x": "x" });
  const home = join(site.local, "home");
  symlinkSync("data/home", home);
  symlinkSync("data", join(site.local, "link"));
  const manager = startManager(
    `const failures = [];
    const runtime = new Runtime("host-1");
    for (const target of input.targets) {
      const failure = await runtime.syncFolder(target, input.source, { direction: "down", delete: true }).then(() => "", (error) => error.message);
      failures.push(failure);
    }
    await runtime.close();
    console.log(JSON.stringify(failures));`,
    {
      env: { ...site.space.env, HOME: home },
      input: {
        source: join(site.there, "folder"),
        targets: ["home", "data/home", "link/home", "link", "data", "", "home/work"].map((name) =>
          join(site.local, name),
        ),
      },
    },
  );
  const { stdout } = await manager.exited;
  const failures = JSON.parse(stdout) as string[];
  expect(failures.pop()).toBe("");
  for (const failure of failures) expect(failure).toMatch(/the home directory.*nothing is deleted/);
  expect(failures).toHaveLength(6);
  expect(readdirSync(site.local).sort()).toEqual(["data", "home", "link"]);
  expect(readdirSync(join(site.local, "data"), { recursive: true }).sort()).toEqual(
    ["home", "home/precious", "home/work", "home/work/new", "other", "other/x"].sort(),
  );
});

/** Whether this user may have a mount namespace to mount in. */
const canMount = spawnSync("unshare", ["-m", "--map-root-user", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;

it("(down) a folder that is a mount point is filled", unless(!canMount && "needs to mount something"), () => {
  write(site.local, { "source/a": "a", "source/sub/b": "b" });
  const target = join(site.local, "target");
  mkdirSync(target);
  const script = `
    const { Runtime } = require(${JSON.stringify(LIBRARY)});
    const { readdirSync, statSync } = require("fs");
    const [source, target] = process.argv.slice(1);
    void new Runtime("localhost").use(async (runtime) => {
      await runtime.getFile(source, target);
      await runtime.syncFolder(target, source, { direction: "down", delete: true });
      const same = statSync(target, { bigint: true }).mtimeNs / 1000n === statSync(source, { bigint: true }).mtimeNs / 1000n;
      console.log(JSON.stringify([same, readdirSync(target, { recursive: true }).sort()]));
    });`;
  const mount = 'mount -t tmpfs tmpfs "$1" && exec "$2" -e "$3" "$4" "$1"';
  const args = [
    "-m",
    "--map-root-user",
    "sh",
    "-c",
    mount,
    "sh",
    target,
    process.execPath,
    script,
    join(site.local, "source"),
  ];
  const { stdout, stderr } = spawnSync("unshare", args, {
    encoding: "utf8",
    env: { ...process.env, ...site.space.env },
  });
  expect([stderr, stdout]).toEqual(["", '[true,["a","sub","sub/b"]]\n']);
});

it("bad input fails at the call", () => {
  write(site.local, { file: "x", "folder/x": "x" });
  const folder = join(site.local, "folder");
  const task = new RuntimeTask();
  for (const call of [
    () => task.syncFolder(join(site.local, "nothing")),
    () => task.syncFolder(join(site.local, "file")),
    () => task.syncFolder("/"),
    () => task.syncFolder(folder, ""),
    () => task.syncFolder(folder, "x", { direction: "sideways" as never }),
    () => task.syncFolder(folder, "x", { delete: 1 as never }),
    () => task.syncFolder(folder, "x", { verify: "size" as never }),
    () => task.syncFolder(folder, "x", { remove: true } as never),
    () => task.sendFile(folder, "x", { verify: true as never }),
    () => task.getFile("x", folder, { resume: "yes" as never }),
    () => site.runtime.syncFolder(folder, "x", { debug: 1 as never }),
  ])
    expect(call).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }) as Error);
  expect(task.steps).toEqual([]);
});

it("a folder with links is what the link leads to, and a link that leaves it is followed to a file", async () => {
  write(site.local, { "real/a": "x", outside: "outside" });
  symlinkSync("real", join(site.local, "folder"));
  symlinkSync("../outside", join(site.local, "real", "out"));
  await sync("up");
  expect(readFileSync(join(site.seen, "folder", "out"), "utf8")).toBe("outside");
  expect(await sync("up")).toBe("0 new, 0 changed, 0 deleted, 2 unchanged, 0 bytes\n");
  // There the target may be a link, and have links that lead anywhere.
  renameSync(join(site.seen, "folder"), join(site.seen, "elsewhere"));
  symlinkSync("elsewhere", join(site.seen, "folder"));
  symlinkSync("/etc", join(site.seen, "elsewhere", "etc"));
  expect(await sync("up", { delete: true })).toBe("0 new, 0 changed, 1 deleted, 2 unchanged, 0 bytes\n");
  expect(existsSync("/etc/passwd")).toBe(true);
});

it("getFile fetches all of a folder, also what `.lazyignore` names there; a sync leaves that", async () => {
  write(site.seen, { "folder/.lazyignore": "*.tmp\n", "folder/a.tmp": "x", "folder/b": "x" });
  await site.runtime.getFile("folder", join(site.local, "all"));
  expect(readdirSync(join(site.local, "all")).sort()).toEqual([".lazyignore", "a.tmp", "b"]);
  await site.runtime.syncFolder(join(site.local, "some"), "folder", { direction: "down" });
  expect(readdirSync(join(site.local, "some")).sort()).toEqual([".lazyignore", "b"]);
});

it("sendFile leaves out what `.lazyignore` names", async () => {
  write(join(site.local, "folder"), { ".lazyignore": "*.tmp\n", "a.tmp": "x", "b/c.tmp": "x", "b/d": "x" });
  await site.runtime.sendFile(join(site.local, "folder"));
  expect(readdirSync(join(site.seen, "folder"), { recursive: true }).sort()).toEqual([".lazyignore", "b", "b/d"]);
});

describe("when it fails", needsIsolation(), () => {
  it("a full disk on the host leaves everything as it was", async () => {
    await site.runtime.executeTask(new RuntimeTask().runCommand("mkdir folder"));
    await site.host.mountTmpfs(join(site.there, "folder"), 512);
    await site.runtime.executeTask(new RuntimeTask().runCommand("echo old > folder/a; echo old > folder/b"));
    write(join(site.local, "folder"), { a: "new" });
    writeFileSync(join(site.local, "folder", "z"), randomBytes(2_000_000));
    expect(
      await rejection(site.runtime.syncFolder(join(site.local, "folder"), "folder", { delete: true })),
    ).toMatchObject({
      message: expect.stringMatching(/ENOSPC|space/) as string,
    });
    const task = new RuntimeTask().runCommand("cd folder; ls -A; cat a b");
    await site.runtime.executeTask(task);
    expect(task.executionLog[0]).toBe("a\nb\nold\nold\n");
    await site.host.exec(["umount", join(site.there, "folder")], { asRoot: true });
  });
});
