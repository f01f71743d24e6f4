/** Big files: in ranges over several connections, resumed, verified, packed on slow lines. */
import { createHash, randomBytes } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
  mkdirSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DelayProxy, startDelayProxy, needsIsolation } from "../hosts";
import {
  Environment,
  Runtime,
  RuntimeTask,
  type RuntimeTaskType,
  TaskExecutionError,
  eventually,
  linkUp,
  rejection,
  startManager,
} from "../support";
import { useSite } from "./site";

const MIB = 1024 * 1024;
const site = useSite();

/** Neither repeats itself nor can be packed. */
function makeBig(path: string, size = 48 * MIB): string {
  const block = randomBytes(MIB);
  const hash = createHash("sha256");
  writeFileSync(path, "");
  for (let written = 0; written < size; written += MIB) {
    block.writeUInt32BE(written / MIB, 0);
    const piece = block.subarray(0, Math.min(MIB, size - written));
    appendFileSync(path, piece);
    hash.update(piece);
  }
  return hash.digest("hex");
}
const hashOf = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");
const partials = (folder: string): string[] =>
  readdirSync(folder).filter((name) => name.startsWith(".lazycluster-partial-"));
/** Aborts when so many bytes have passed. */
async function interrupted(
  task: RuntimeTaskType,
  bytes: number,
  stop: (abort: AbortController) => unknown,
): Promise<unknown> {
  const abort = new AbortController();
  let stopped = false;
  task.on("progress", (progress) => {
    if (progress.bytes < bytes || stopped) return;
    stopped = true;
    stop(abort);
  });
  return rejection(site.runtime.executeTask(task, { signal: abort.signal }));
}

describe("an interrupted transfer", () => {
  const both = (direction: string) => {
    const [here, there] = [join(site.local, "big"), join(site.seen, "big")];
    const task = (resume: boolean): RuntimeTaskType =>
      direction === "up"
        ? new RuntimeTask().sendFile(here, "big", { resume })
        : new RuntimeTask().getFile("big", here, { resume });
    return direction === "up"
      ? { source: here, target: there, folder: site.seen, task }
      : { source: there, target: here, folder: site.local, task };
  };

  it.each(["up", "down"])(
    "(%s) leaves the old file, and nothing else unless that was wished; the next one goes on",
    async (direction) => {
      const { source, target, folder, task } = both(direction);
      const sum = makeBig(source, 96 * MIB);
      writeFileSync(target, "old");
      for (const resume of [false, true]) {
        const error = await interrupted(task(resume), 40 * MIB, (abort) => abort.abort());
        expect(error).toMatchObject({ code: "ERR_TASK_CANCELLED" });
        expect(readFileSync(target, "utf8")).toBe("old");
        expect(readdirSync(folder).filter((name) => name.startsWith(".lazycluster-"))).toHaveLength(resume ? 1 : 0);
      }
      const [kept] = partials(folder);
      expect(statSync(join(folder, kept!)).mode & 0o777).toBe(0o600);
      // A transfer that does not ask for it neither uses nor removes it.
      const again = task(true);
      const seen: number[] = [];
      again.on("progress", ({ bytes }) => seen.push(bytes));
      await site.runtime.executeTask(again);
      expect(hashOf(target)).toBe(sum);
      expect(seen[0]).toBeGreaterThanOrEqual(8 * MIB);
      expect(seen.at(-1)).toBe(96 * MIB);
      expect(partials(folder)).toEqual([]);
    },
  );

  it.each(["up", "down"])(
    "(%s) goes on with what is right of the kept piece only, though the source has changed",
    async (direction) => {
      const { source, target, folder, task } = both(direction);
      makeBig(source, 128 * MIB);
      await interrupted(task(true), 20 * MIB, (abort) => abort.abort());
      const [kept] = partials(folder);
      // A broken block here, a changed one there, and a shorter file.
      for (const [path, at] of [
        [join(folder, kept!), 5 * MIB],
        [source, 9 * MIB],
      ] as const) {
        const file = openSync(path, "r+");
        writeSync(file, "broken", at);
        closeSync(file);
      }
      const whole = readFileSync(source);
      writeFileSync(source, whole.subarray(0, 50 * MIB + 1));
      await site.runtime.executeTask(task(true));
      expect(hashOf(target)).toBe(hashOf(source));
      expect(partials(folder)).toEqual([]);
    },
  );

  it.each(["up", "down"])(
    "(%s) is not taken up where somebody else put a link or a file in the place of the kept piece",
    async (direction) => {
      const { source, target, folder, task } = both(direction);
      makeBig(source, 96 * MIB);
      await interrupted(task(true), 40 * MIB, (abort) => abort.abort());
      const kept = join(folder, partials(folder)[0]!);
      const sum = makeBig(source, 17 * MIB);
      const victim = join(folder, "precious");
      writeFileSync(victim, "precious", { mode: 0o600 });
      for (const plant of [
        () => symlinkSync(victim, kept),
        () => linkSync(victim, kept),
        () => {
          writeFileSync(kept, readFileSync(source));
          chmodSync(kept, 0o622);
        },
        () => {
          writeFileSync(kept, "evil", { mode: 0o600 });
          if (process.geteuid?.() === 0) chownSync(kept, 65534, 65534);
          else console.log("skipped: a file of another user, for only root can make one");
        },
      ]) {
        rmSync(kept);
        plant();
        const planted = lstatSync(kept);
        await site.runtime.executeTask(task(true));
        expect(hashOf(target)).toBe(sum);
        expect(lstatSync(target)).toMatchObject({ nlink: 1, uid: process.geteuid?.() });
        expect(readFileSync(victim, "utf8")).toBe("precious");
        expect(statSync(victim).mode & 0o777).toBe(0o600);
        // As root it is not ours to take away; else the last one is.
        if (existsSync(kept)) expect(lstatSync(kept).ino).toBe(planted.ino);
      }
      rmSync(kept, { force: true });
    },
  );

  it("of a folder: the big file in it goes on, small ones come again", async () => {
    const folder = join(site.local, "folder");
    mkdirSync(join(folder, "sub"), { recursive: true });
    writeFileSync(join(folder, "a"), "small");
    const sum = makeBig(join(folder, "sub", "big"), 64 * MIB);
    const task = (): RuntimeTaskType => new RuntimeTask().syncFolder(folder, "copy", { resume: true });
    await interrupted(task(), 30 * MIB, (abort) => abort.abort());
    expect(existsSync(join(site.seen, "copy"))).toBe(false);
    expect(partials(site.seen)).toHaveLength(1);
    const again = task();
    const seen: number[] = [];
    again.on("progress", ({ bytes }) => seen.push(bytes));
    await site.runtime.executeTask(again);
    expect(hashOf(join(site.seen, "copy", "sub", "big"))).toBe(sum);
    expect(Math.min(...seen.filter((bytes) => bytes > MIB))).toBeGreaterThanOrEqual(8 * MIB);
    expect(partials(site.seen)).toEqual([]);
  });

  it("by the death of the manager: the next manager goes on", async () => {
    const source = join(site.local, "big");
    const sum = makeBig(source, 96 * MIB);
    // A folder that outlives the manager.
    const target = "/tmp/kept/big";
    const folder = join(site.host.dir, "tmp", "kept");
    await site.runtime.executeTask(new RuntimeTask().runCommand("mkdir /tmp/kept; echo old > /tmp/kept/big"));
    const manager = startManager(
      `const task = new RuntimeTask().sendFile(input.source, input.target, { resume: true });
      task.on("progress", ({ bytes }) => bytes > 40e6 && process.kill(process.pid, "SIGKILL"));
      await new Runtime("host-1").executeTask(task);`,
      { env: site.space.env, input: { source, target } },
    );
    expect((await manager.exited).signal).toBe("SIGKILL");
    await eventually(() => expect(partials(folder)).toHaveLength(1), 5000);
    expect(readFileSync(join(folder, "big"), "utf8")).toBe("old\n");
    const task = new RuntimeTask().sendFile(source, target, { resume: true });
    const seen: number[] = [];
    task.on("progress", ({ bytes }) => seen.push(bytes));
    await site.runtime.executeTask(task);
    expect(seen[0]).toBeGreaterThanOrEqual(8 * MIB);
    expect(hashOf(join(folder, "big"))).toBe(sum);
    expect(readdirSync(folder)).toEqual(["big"]);
    rmSync(folder, { recursive: true });
  });

  it(
    "by a line that is cut: the old file stays here, and the next transfer goes on",
    { ...needsIsolation(), timeout: 60_000 },
    async () => {
      const sum = makeBig(join(site.seen, "big"), 96 * MIB);
      const outlasting = join(site.host.dir, "tmp", "outlasting");
      renameSync(join(site.seen, "big"), outlasting);
      const target = join(site.local, "big");
      writeFileSync(target, "old");
      const impatient = new Runtime("host-1", { connection: { keepaliveIntervalMs: 1000 } });
      const task = new RuntimeTask().getFile("/tmp/outlasting", target, { resume: true });
      let cut = false;
      task.on("progress", ({ bytes }) => {
        if (cut || bytes < 40 * MIB) return;
        cut = true;
        void site.host.linkDown();
      });
      expect(await rejection(impatient.executeTask(task))).toMatchObject({ code: "ERR_TASK_LOST" });
      expect(readFileSync(target, "utf8")).toBe("old");
      expect(partials(site.local)).toHaveLength(1);
      await linkUp(site.host);
      await impatient.close();
      const again = new RuntimeTask().getFile("/tmp/outlasting", target, { resume: true });
      const seen: number[] = [];
      again.on("progress", ({ bytes }) => seen.push(bytes));
      const fresh = new Runtime("host-1");
      await fresh.executeTask(again);
      expect(seen[0]).toBeGreaterThanOrEqual(8 * MIB);
      expect(hashOf(target)).toBe(sum);
      await fresh.close();
      rmSync(outlasting);
    },
  );

  it("kept pieces are few, and old ones go with the next transfer", async () => {
    writeFileSync(join(site.seen, ".lazycluster-partial-0123456789abcdef"), "old");
    utimesSync(join(site.seen, ".lazycluster-partial-0123456789abcdef"), 1, 1);
    writeFileSync(join(site.local, "small"), "x");
    await site.runtime.sendFile(join(site.local, "small"), "small", { resume: true });
    expect(readdirSync(site.seen)).toEqual(["small"]);
  });
});

describe("with `verify`", () => {
  it("big and small files and folders are compared by their hash, both ways", async () => {
    const folder = join(site.local, "folder");
    mkdirSync(folder);
    const sum = makeBig(join(folder, "big"));
    writeFileSync(join(folder, "small"), "small");
    writeFileSync(join(folder, "empty"), "");
    const verify = "hash";
    await site.runtime.executeTask(
      new RuntimeTask().sendFile(folder, "copy", { verify }).getFile("copy", join(site.local, "back"), { verify }),
    );
    expect(hashOf(join(site.local, "back", "big"))).toBe(sum);
    expect(readdirSync(join(site.local, "back")).sort()).toEqual(["big", "empty", "small"]);
  });

  it.each(["up", "down"])(
    "(%s) content that is not what was sent is refused, and the old file stays",
    async (direction) => {
      const [here, there] = [join(site.local, "big"), join(site.seen, "big")];
      const [source, target, folder] = direction === "up" ? [here, there, site.seen] : [there, here, site.local];
      makeBig(source, 64 * MIB);
      writeFileSync(target, "old");
      const task =
        direction === "up"
          ? new RuntimeTask().sendFile(here, "big", { verify: "hash" })
          : new RuntimeTask().getFile("big", here, { verify: "hash" });
      // A disk that loses a byte: somebody writes into the hidden file while it is collected.
      let hit = false;
      task.on("progress", ({ bytes }) => {
        if (hit || bytes < 20 * MIB) return;
        const hidden = readdirSync(folder).find((name) => name.startsWith(".lazycluster-"))!;
        const path = direction === "up" ? join(folder, hidden) : join(folder, hidden, "root");
        const file = openSync(path, "r+");
        const byte = Buffer.alloc(1);
        readSync(file, byte, 0, 1, 100);
        writeSync(file, Buffer.from([byte[0]! ^ 1]), 0, 1, 100);
        closeSync(file);
        hit = true;
      });
      const error = await rejection(site.runtime.executeTask(task));
      expect(hit).toBe(true);
      expect(error).toBeInstanceOf(TaskExecutionError);
      expect(error).toMatchObject({ message: expect.stringMatching(/content/) as string });
      expect(readFileSync(target, "utf8")).toBe("old");
    },
  );
});

describe("over a long line", () => {
  let proxy: DelayProxy;
  const config = (): string => join(site.space.dir, "slow_config");
  beforeAll(async () => {
    const { address, port } = site.host;
    proxy = await startDelayProxy({ target: { address, port }, rttMs: 50 });
    const original = readFileSync(site.hosts.configFile, "utf8");
    const key = port === 22 ? address : `[${address}]:${String(port)}`;
    writeFileSync(
      config(),
      `Host slow\n  HostName ${proxy.address}\n  Port ${String(proxy.port)}\n  HostKeyAlias ${key}\n  User ${site.host.user}\n` +
        `  IdentityFile ${site.hosts.identityFile}\n  IdentitiesOnly yes\n  UserKnownHostsFile ${site.hosts.knownHostsFile}\n${original}`,
    );
    Environment.sshConfigFile = config();
  });
  afterAll(async () => {
    Environment.sshConfigFile = site.hosts.configFile;
    await proxy.stop();
  });

  it("a big file travels over four more connections, which are gone afterwards", { timeout: 120_000 }, async () => {
    const sum = makeBig(join(site.local, "big"), 128 * MIB);
    await new Runtime("slow").use(async (slow) => {
      await slow.executeTask(new RuntimeTask().runCommand("true"));
      expect(proxy.connections()).toBe(1);
      for (const task of [
        new RuntimeTask().sendFile(join(site.local, "big"), "big"),
        new RuntimeTask().getFile("big", join(site.local, "back")),
      ]) {
        const seen: number[] = [];
        task.on("progress", () => seen.push(proxy.connections()));
        await slow.executeTask(task);
        expect(Math.max(...seen)).toBe(5);
        await eventually(() => expect(proxy.connections()).toBe(1), 10_000);
      }
    });
    expect(hashOf(join(site.local, "back"))).toBe(sum);
  });

  it("a connection that is lost on the way costs nothing but time", { timeout: 120_000 }, async () => {
    const sum = makeBig(join(site.local, "big"), 192 * MIB);
    await new Runtime("slow").use(async (slow) => {
      await slow.executeTask(new RuntimeTask().runCommand("true"));
      const task = new RuntimeTask().sendFile(join(site.local, "big"), "big");
      let dropped = 0;
      task.on("progress", ({ bytes }) => {
        if (dropped > 0 || proxy.connections() < 5) return;
        dropped = bytes;
        proxy.dropNewest();
      });
      await slow.executeTask(task);
      expect(dropped).toBeGreaterThan(0);
      expect(dropped).toBeLessThan(192 * MIB);
      const home = join(site.host.dir, await slow.workingDir);
      expect(hashOf(join(home, "big"))).toBe(sum);
      expect(readdirSync(home)).toEqual(["big"]);
    });
  });
});
