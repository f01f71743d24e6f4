/** Files and folders, there and back: exact, and whole or not at all. */
import { createHash, randomBytes } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { type TestHost, startHosts, needsRoot } from "../hosts";
import {
  Environment,
  type LazyclusterErrorType,
  Runtime,
  RuntimeTask,
  type RuntimeType,
  TaskExecutionError,
  type Workspace,
  eventually,
  expectCleanHost,
  rejection,
  startManager,
} from "../support";
import { shapeOf, useSite } from "./site";

const MIB = 1024 * 1024;
const TIME = new Date("2001-02-03T04:05:06.789Z");

const site = useSite();
let host: TestHost;
let space: Workspace;
let runtime: RuntimeType;
let there: string;
let seen: string;
let local: string;
beforeEach(() => {
  ({ host, space, runtime, there, seen, local } = site);
});

function makeTree(root: string): void {
  mkdirSync(join(root, "nested", "deep", "er"), { recursive: true });
  mkdirSync(join(root, "empty"));
  mkdirSync(join(root, "private"));
  writeFileSync(join(root, "plain"), "plain");
  writeFileSync(join(root, "empty file"), "");
  writeFileSync(join(root, "nested", "script.sh"), "#!/bin/sh\necho script\n");
  writeFileSync(join(root, "nested", "deep", "er", "binary"), randomBytes(300_000));
  writeFileSync(join(root, "private", "secret"), "secret");
  symlinkSync("plain", join(root, "link"));
  symlinkSync("../plain", join(root, "nested", "link up"));
  symlinkSync("nested/deep", join(root, "link to folder"));
  symlinkSync("nowhere", join(root, "dangling"));
  chmodSync(join(root, "nested", "script.sh"), 0o755);
  chmodSync(join(root, "private", "secret"), 0o400);
  chmodSync(join(root, "private"), 0o500);
  chmodSync(join(root, "plain"), 0o640);
  for (const name of ["plain", "nested/script.sh", "nested/deep", "nested", "empty", "private", "."])
    utimesSync(join(root, name), TIME, TIME);
}

describe("a folder", () => {
  it("with nested folders, modes, times, links, empty files and folders is the same there and back again", async () => {
    const source = join(local, "source");
    makeTree(source);
    const shape = shapeOf(source);
    await runtime.sendFile(source, "copy");
    expect(shapeOf(join(seen, "copy"))).toEqual(shape);
    const back = join(local, "back");
    await runtime.getFile("copy", back);
    expect(shapeOf(back)).toEqual(shape);
    // Again, onto what is there now: folders that exist keep their own time. Only root puts something into read-only ones.
    if (process.getuid?.() !== 0)
      for (const folder of [source, join(seen, "copy"), back]) chmodSync(join(folder, "private"), 0o700);
    const timeless = (path: string): unknown =>
      Object.entries(shapeOf(path)).map(([name, entry]) => [name, entry.kind === "dir" ? entry.mode : entry]);
    await runtime.sendFile(source, "copy");
    await runtime.getFile("copy", back);
    expect(timeless(back)).toEqual(timeless(source));
  });

  it("keeps its name by default, goes into a folder with a trailing slash, and onto the path without", async () => {
    const source = join(local, "source");
    mkdirSync(source);
    writeFileSync(join(source, "file"), "x");
    await runtime.executeTask(
      new RuntimeTask()
        .runCommand("mkdir existing")
        .sendFile(source)
        .sendFile(source, "existing/")
        .sendFile(source, "new/")
        .sendFile(source, "existing")
        .sendFile(`${source}/`, "slash"),
    );
    const { stdout } = await host.exec(["sh", "-c", `cd ${there}; find . -type f | sort`]);
    expect(stdout.split("\n").filter(Boolean)).toEqual([
      "./existing/file",
      "./existing/source/file",
      "./new/source/file",
      "./slash/file",
      "./source/file",
    ]);
    mkdirSync(join(local, "into"));
    await runtime.executeTask(
      new RuntimeTask()
        .getFile("source", join(local, "into") + "/")
        .getFile("source", join(local, "onto"))
        .getFile("source/", join(local, "fresh") + "/"),
    );
    for (const path of ["into/source/file", "onto/file", "fresh/source/file"])
      expect(readFileSync(join(local, path), "utf8")).toBe("x");
  });

  it("is merged with one that is there: same names replaced, others kept, both ways", async () => {
    const source = join(local, "source");
    mkdirSync(join(source, "sub", "new"), { recursive: true });
    for (const name of ["a", "sub/b", "sub/new/c"]) writeFileSync(join(source, name), "new");
    await runtime.executeTask(
      new RuntimeTask()
        .runCommand("mkdir -p t/sub; for f in t/a t/keep t/sub/b t/sub/keep; do echo old > $f; done; chmod 750 t")
        .sendFile(source, "t"),
    );
    const { stdout } = await host.exec(["sh", "-c", `cd ${there}/t; grep -r . . | sort; stat -c %a .`]);
    const merged = ["./a:new", "./keep:old", "./sub/b:new", "./sub/keep:old", "./sub/new/c:new"];
    expect(stdout.trim().split("\n")).toEqual([...merged, "750"]);
    const target = join(local, "target");
    mkdirSync(join(target, "sub"), { recursive: true });
    for (const name of ["a", "mine", "sub/b", "sub/mine"]) writeFileSync(join(target, name), "old");
    await runtime.getFile("t", target);
    expect(readdirSync(target, { recursive: true }).sort()).toEqual([
      "a",
      "keep",
      "mine",
      "sub",
      "sub/b",
      "sub/keep",
      "sub/mine",
      "sub/new",
      "sub/new/c",
    ]);
    expect(readFileSync(join(target, "a"), "utf8")).toBe("new");
    expect(readFileSync(join(target, "mine"), "utf8")).toBe("old");
  });

  it("of 1000 small files arrives complete, both ways", async () => {
    const source = join(local, "many");
    for (let folder = 0; folder < 10; folder++) {
      mkdirSync(join(source, String(folder)), { recursive: true });
      for (let index = 0; index < 100; index++)
        writeFileSync(join(source, String(folder), `file-${index}`), `${folder}/${index}`);
    }
    const start = performance.now();
    const task = new RuntimeTask().sendFile(source, "many").getFile("many", join(local, "back"));
    const progress: { files: number; totalFiles: number | null }[] = [];
    task.on("progress", ({ files, totalFiles }) => progress.push({ files, totalFiles }));
    await runtime.executeTask(task);
    console.log(`1000 files there and back in ${(performance.now() - start).toFixed(0)} ms`);
    expect(shapeOf(join(local, "back"))).toEqual(shapeOf(source));
    expect(progress).toContainEqual({ files: 1000, totalFiles: 1000 });
    expect(progress.at(-1)).toEqual({ files: 1000, totalFiles: null });
  });

  it("with what is neither file, folder nor link: that is left out and told; a link that leaves it is followed to a file", async () => {
    const source = join(local, "source");
    mkdirSync(source);
    spawnSync("mkfifo", [join(source, "pipe")]);
    writeFileSync(join(local, "outside"), "outside");
    symlinkSync("../outside", join(source, "link"));
    const back = join(local, "back");
    const task = new RuntimeTask()
      .sendFile(source, "copy")
      .runCommand("mkfifo copy/there; ln -s /etc/hostname copy/name")
      .getFile("copy", back);
    await runtime.executeTask(task);
    expect(task.executionLog[0]).toMatch(/"?pipe"? was left out/);
    expect(task.executionLog[2]).toContain("there");
    expect(shapeOf(back)).toMatchObject({ "./link": { kind: "file" }, "./name": { kind: "file" } });
    expect(existsSync(join(back, "there"))).toBe(false);
    symlinkSync("..", join(source, "loop"));
    expect(await rejection(runtime.sendFile(source, "copy2"))).toMatchObject({
      reason: "failed",
      message: expect.stringContaining("loop") as string,
    });
    expect(existsSync(join(seen, "copy2"))).toBe(false);
  });
});

describe("a file", () => {
  it("of 64 MiB has the same content, both ways", async () => {
    const source = join(local, "big");
    const block = randomBytes(MIB);
    for (let count = 0; count < 64; count++)
      appendFileSync(source, Buffer.concat([Buffer.from([count]), block.subarray(1)]));
    const task = new RuntimeTask()
      .sendFile(source, "big")
      .runCommand("sha1sum < big")
      .getFile("big", join(local, "back"));
    const start = performance.now();
    await runtime.executeTask(task);
    console.log(`64 MiB there and back in ${(performance.now() - start).toFixed(0)} ms`);
    const sum = createHash("sha1").update(readFileSync(source)).digest("hex");
    expect(task.executionLog[1]).toBe(`${sum}  -\n`);
    expect(
      createHash("sha1")
        .update(readFileSync(join(local, "back")))
        .digest("hex"),
    ).toBe(sum);
  });

  it("keeps mode and time, goes into an existing folder, makes missing ones, replaces a file and a link", async () => {
    const source = join(local, "file");
    writeFileSync(source, "new");
    chmodSync(source, 0o751);
    utimesSync(source, TIME, TIME);
    const task = new RuntimeTask()
      .runCommand("mkdir folder; echo old > old; echo target > target; ln -s target link")
      .sendFile(source)
      .sendFile(source, "folder")
      .sendFile(source, "a/b/c/")
      .sendFile(source, "d/e/renamed")
      .sendFile(source, "old")
      .sendFile(source, "link")
      .sendFile(source, `${there}/absolute`)
      .runCommand("cat target; stat -c '%a %Y %F' file folder/file a/b/c/file d/e/renamed old link absolute");
    await runtime.executeTask(task);
    const line = `751 ${Math.floor(TIME.getTime() / 1000)} regular file`;
    expect(task.executionLog.at(-1)).toBe(`target\n${`${line}\n`.repeat(7)}`);
    mkdirSync(join(local, "folder"));
    writeFileSync(join(local, "old"), "old");
    symlinkSync("file", join(local, "link"));
    const get = new RuntimeTask();
    const targets = ["folder", "old", "link", "x/y/z"].map((name) => join(local, name));
    for (const target of [...targets, `${join(local, "p", "q")}/`]) get.getFile("old", target);
    await runtime.executeTask(get);
    for (const name of ["folder/old", "old", "link", "x/y/z", "p/q/old"]) {
      const path = join(local, name);
      expect(lstatSync(path).isFile()).toBe(true);
      expect(readFileSync(path, "utf8")).toBe("new");
      expect(statSync(path).mode & 0o7777).toBe(0o751);
      expect(statSync(path).mtimeMs).toBe(TIME.getTime());
    }
    expect(readFileSync(source, "utf8")).toBe("new");
  });

  it("of a file that is not there says once what to check", async () => {
    const error = await rejection(runtime.getFile("nothing", join(local, "x")));
    expect((error as Error).message.match(/Check the path\./g)).toHaveLength(1);
  });

  it("by default lands in the manager's current directory, under its name", async () => {
    const script = startManager(
      `await new Runtime("host-1").use(async (runtime) => {
        await runtime.executeTask(new RuntimeTask().runCommand("mkdir d; echo text > d/remote.txt").getFile("d/remote.txt").getFile("d"));
      });`,
      { env: space.env, cwd: local },
    );
    expect((await script.exited).code).toBe(0);
    expect(readdirSync(local, { recursive: true }).sort()).toEqual(["d", "d/remote.txt", "remote.txt"]);
  });

  it("in the home directory by `~`", async () => {
    writeFileSync(join(local, "file"), "home");
    await runtime.executeTask(
      new RuntimeTask()
        .sendFile(join(local, "file"), "~/from home/x")
        .getFile("~/from home/x", join(local, "back"))
        .runCommand("cat ~/from\\ home/x; rm -r ~/from\\ home"),
    );
    expect(readFileSync(join(local, "back"), "utf8")).toBe("home");
  });
});

describe("one clear error, and everything as it was, when", () => {
  async function fails(work: PromiseLike<unknown>, says: RegExp): Promise<void> {
    const error = (await rejection(work)) as LazyclusterErrorType;
    expect(error).toBeInstanceOf(TaskExecutionError);
    expect(error).toMatchObject({ code: "ERR_TASK_FAILED", host: "host-1", stepIndex: 0 });
    expect(error.message).toMatch(says);
  }

  it("a file is in the place of a folder, or the reverse, at any depth", async () => {
    mkdirSync(join(local, "folder", "sub"), { recursive: true });
    writeFileSync(join(local, "folder", "a"), "new");
    writeFileSync(join(local, "folder", "sub", "x"), "new");
    writeFileSync(join(local, "file"), "new");
    await runtime.executeTask(
      new RuntimeTask().runCommand(
        "echo old > file; mkdir -p into/file; mkdir -p deep/sub/x; echo old > deep/a; mkdir -p get/sub; touch get/a get/sub/x",
      ),
    );
    await fails(runtime.sendFile(join(local, "folder"), "file"), /file/);
    await fails(runtime.sendFile(join(local, "file"), "into"), /into\/file/);
    await fails(runtime.sendFile(join(local, "folder"), "deep"), /deep\/sub\/x/);
    expect((await host.exec(["sh", "-c", `cd ${there}; cat file deep/a`])).stdout).toBe("old\nold\n");
    await fails(runtime.getFile("into", join(local, "file")), /file/);
    mkdirSync(join(local, "target", "sub", "x"), { recursive: true });
    writeFileSync(join(local, "target", "a"), "old");
    await fails(runtime.getFile("get", join(local, "target")), /sub\/x/);
    expect(readFileSync(join(local, "target", "a"), "utf8")).toBe("old");
    mkdirSync(join(local, "dir", "file"), { recursive: true });
    await fails(runtime.getFile("file", join(local, "dir")), /dir\/file/);
  });

  it("there is nothing to fetch", async () => {
    await fails(runtime.getFile("nothing here", join(local, "x")), /nothing here/);
    await fails(runtime.getFile("/dev/null", join(local, "x")), /\/dev\/null/);
    expect(readdirSync(local)).toEqual([]);
  });

  it("a local file disappears or shrinks between composing, sending and reading", async () => {
    const file = join(local, "file");
    writeFileSync(file, "x");
    const task = new RuntimeTask().sendFile(file, "copy");
    rmSync(file);
    await fails(runtime.executeTask(task), /file/);
    expect(readdirSync(seen)).toEqual([]);

    writeFileSync(file, "");
    truncateSync(file, 256 * MIB);
    const shrinking = new RuntimeTask().sendFile(file, "copy");
    shrinking.on("progress", ({ bytes }) => bytes > 0 && truncateSync(file, 1000));
    await fails(runtime.executeTask(shrinking), /shorter/);
    expect(readdirSync(seen)).toEqual([]);
  });

  it("a remote file shrinks while it is fetched", async () => {
    await runtime.executeTask(new RuntimeTask().runCommand("truncate -s 256M file"));
    const task = new RuntimeTask().getFile("file", join(local, "copy"));
    task.on("progress", ({ bytes }) => bytes > 0 && truncateSync(join(seen, "file"), 1000));
    await fails(runtime.executeTask(task), /file/);
    expect(readdirSync(local)).toEqual([]);
  });

  it("a file that grows while it is sent arrives as long as it was", async () => {
    const file = join(local, "file");
    writeFileSync(file, "");
    truncateSync(file, 64 * MIB);
    const task = new RuntimeTask().sendFile(file, "copy");
    task.on("progress", () => appendFileSync(file, "more"));
    await runtime.executeTask(task);
    expect(statSync(join(seen, "copy")).size).toBe(64 * MIB);
  });

  it("sendFile is given what is not there: InvalidArgumentError at the call", () => {
    expect(() => new RuntimeTask().sendFile(join(local, "nothing"))).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }) as Error,
    );
    expect(() => runtime.sendFile(join(local, "nothing"))).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }) as Error,
    );
  });
});

it("a file appears whole or not at all: who looks meanwhile sees the old one, then the new one", async () => {
  const size = 128 * MIB;
  const source = join(local, "source");
  writeFileSync(source, "");
  truncateSync(source, size);
  await runtime.executeTask(new RuntimeTask().runCommand("echo old > target"));
  writeFileSync(join(local, "target"), "old\n");
  for (const [task, target] of [
    [new RuntimeTask().sendFile(source, "target"), join(seen, "target")],
    [new RuntimeTask().getFile("target", join(local, "target")), join(local, "target")],
  ] as const) {
    const sizes = new Set<number>();
    let over = false;
    const looking = eventually(() => (sizes.add(statSync(target).size), over), 30_000);
    await runtime.executeTask(task);
    over = true;
    await looking;
    expect([...sizes]).toEqual([4, size]);
  }
});

describe("on file systems and for users with limits", needsRoot(), () => {
  it("a manager's disk that becomes full: the fetch fails, the old file stays", async () => {
    await runtime.executeTask(new RuntimeTask().runCommand("head -c 1500000 /dev/urandom > big"));
    const mount = join(local, "small");
    mkdirSync(mount);
    expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", mount]).status).toBe(0);
    try {
      writeFileSync(join(mount, "target"), "old");
      expect(await rejection(runtime.getFile("big", join(mount, "target")))).toMatchObject({
        reason: "failed",
        message: expect.stringMatching(/ENOSPC|space/) as string,
      });
      expect(readdirSync(mount)).toEqual(["target"]);
      expect(readFileSync(join(mount, "target"), "utf8")).toBe("old");
    } finally {
      spawnSync("umount", [mount]);
    }
  });

  it("a file of which only the last piece does not fit is not taken for complete", async () => {
    await runtime.executeTask(
      new RuntimeTask().runCommand("head -c 1040000 /dev/urandom > almost; head -c 100000 /dev/urandom > filler"),
    );
    const mount = join(local, "small");
    mkdirSync(mount);
    expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", mount]).status).toBe(0);
    try {
      await runtime.getFile("filler", join(mount, "filler"));
      expect(await rejection(runtime.getFile("almost", join(mount, "target")))).toMatchObject({ reason: "failed" });
      expect(readdirSync(mount)).toEqual(["filler"]);
    } finally {
      spawnSync("umount", [mount]);
    }
  });

  it("an ordinary user sends and fetches read-only folders, and is told of files that may not be read", async () => {
    const ordinary = await startHosts({ user: "ordinary" });
    const source = join(local, "source");
    makeTree(source);
    const shape = shapeOf(source);
    const mine = join(local, "mine");
    mkdirSync(mine, { mode: 0o777 });
    // Short, for the path of a socket.
    const temporary = space.path("t");
    mkdirSync(temporary);
    chmodSync(temporary, 0o777);
    chmodSync(mine, 0o777);
    chmodSync(local, 0o777);
    chmodSync(space.dir, 0o777);
    chmodSync(ordinary.dir, 0o755);
    try {
      Environment.sshConfigFile = ordinary.configFile;
      const user = new Runtime("host-1");
      await user.executeTask(new RuntimeTask().sendFile(source, "copy"));
      expect(shapeOf(join(ordinary.hosts[0]!.dir, await user.workingDir, "copy"))).toEqual(shape);
      expect(await rejection(user.getFile("/etc/shadow", join(local, "shadow")))).toMatchObject({
        message: expect.stringMatching(/permission/i) as string,
      });
      await user.executeTask(
        new RuntimeTask().runCommand("mkdir partly; echo 1 > partly/a; echo 2 > partly/b; chmod 0 partly/b"),
      );
      expect(await rejection(user.getFile("partly", join(local, "partly")))).toMatchObject({
        message: expect.stringMatching(/partly\/b.*permission/is) as string,
      });
      expect(existsSync(join(local, "partly"))).toBe(false);
      await user.close();
      await expectCleanHost(ordinary.hosts[0]!, 2000);

      // The manager too may be an ordinary user.
      for (const file of [ordinary.configFile, ordinary.knownHostsFile, ordinary.identityFile])
        spawnSync("chown", ["65534", file]);
      const script = startManager(
        `const runtime = new Runtime("host-1");
        const task = new RuntimeTask().runCommand("mkdir -p ro/sub; echo x > ro/sub/x; chmod 500 ro/sub ro").getFile("ro", "fetched").getFile("ro", "fetched2/");
        await runtime.executeTask(task);
        require("fs").mkdirSync("unreadable"); require("fs").writeFileSync("unreadable/no", "x", { mode: 0 });
        const failed = await runtime.sendFile("unreadable").then(() => null, (error) => error);
        say("failed", failed && { code: failed.code, message: failed.message });
        const { stdout } = await runtime.executeTask(new RuntimeTask("ls").runCommand("ls -A")).then((ls) => ({ stdout: ls.executionLog[0] }));
        say("left", stdout);
        await runtime.close();`,
        {
          uid: 65534,
          cwd: mine,
          env: {
            ...space.env,
            LAZYCLUSTER_SSH_CONFIG: ordinary.configFile,
            LAZYCLUSTER_MAIN_DIRECTORY: join(mine, "main"),
            LAZYCLUSTER_STATE_DIR: join(mine, "state"),
            HOME: mine,
            TMPDIR: temporary,
          },
        },
      );
      expect(await script.hear("failed")).toMatchObject({
        code: "ERR_TASK_FAILED",
        message: expect.stringMatching(/EACCES|permission/i) as string,
      });
      expect(await script.hear("left")).toBe("ro\n");
      expect(await script.exited).toMatchObject({ code: 0, stderr: "" });
      for (const folder of ["fetched", "fetched2/ro"]) {
        expect(shapeOf(join(mine, folder))).toMatchObject({
          ".": { mode: 0o500 },
          "./sub": { mode: 0o500 },
          "./sub/x": { kind: "file" },
        });
      }
    } finally {
      Environment.sshConfigFile = site.hosts.configFile;
      await ordinary.stop();
    }
  });
});
