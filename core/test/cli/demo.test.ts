import { execFile, spawn } from "child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "fs";
import { createServer } from "net";
import { homedir, tmpdir } from "os";
import { join } from "path";
import { promisify } from "util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { needsTerminals } from "../hosts";
import { type DemoState, demoCommandOutput, demoDirectory, demoDown, demoStatus, demoUp } from "../../src/cli/demo";

const run = promisify(execFile);

/** A directory whose name is as awkward as ssh's configuration files allow. */
const directory = mkdtempSync(join(tmpdir(), "demo hosts $(x) 100% 'ü' "));
const realSshDirectory = join(homedir(), ".ssh");
const modifiedAt = (path: string) => (existsSync(path) ? statSync(path).mtimeMs : null);

let state: DemoState;
const ssh = async (host: string, ...command: string[]) =>
  (await run("ssh", ["-F", state.sshConfig, "-o", "BatchMode=yes", host, ...command], { timeout: 20_000 })).stdout;
const isRunning = (pid: number) =>
  existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");

beforeAll(async () => {
  state = await demoUp({ directory });
}, 60_000);

afterAll(async () => {
  await demoDown({ directory });
  rmSync(directory, { recursive: true, force: true });
});

describe("demo hosts", () => {
  it("are two real sshd on different loopback ports", async () => {
    expect(state.hosts.map(({ name }) => name)).toEqual(["host-1", "host-2"]);
    const [first, second] = state.hosts;
    expect(first!.port).not.toBe(second!.port);
    expect(await ssh("host-1", "echo one")).toBe("one\n");
    expect(await ssh("host-2", "echo two")).toBe("two\n");
  });

  it("have homes of their own, and sessions start there", async () => {
    for (const { name, home } of state.hosts) expect(await ssh(name, 'echo "$HOME"; pwd')).toBe(`${home}\n${home}\n`);
  });

  it("run a command exactly as it was given", async () => {
    const text = `printf '%s|' "a  b" 'c"d' "$((1+1))" '\\n' "$(printf 'x\ny')" 'ü'; exit 0`;
    expect(await ssh("host-1", text)).toBe(`a  b|c"d|2|\\n|x\ny|ü|`);
    expect(await ssh("host-1", 'env | grep -c "^SSH_ORIGINAL_COMMAND=" || true')).toBe("0\n");
  });

  it("give exit codes, stdin and binary output unchanged", async () => {
    await expect(ssh("host-1", "exit 7")).rejects.toMatchObject({ code: 7 });
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    const child = spawn("ssh", ["-F", state.sshConfig, "host-1", "cat"], { stdio: ["pipe", "pipe", "inherit"] });
    child.stdin.end(bytes);
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  });

  it("start an interactive session when there is no command", needsTerminals(), async () => {
    const child = spawn("ssh", ["-F", state.sshConfig, "-tt", "host-1"], { stdio: ["pipe", "pipe", "ignore"] });
    child.stdin.write('stty -echo\ntest -t 0 && echo "tty in $HOME"\nexit 5\n');
    let output = "";
    for await (const chunk of child.stdout) output += String(chunk);
    expect(output).toContain(`tty in ${state.hosts[0]!.home}`);
    expect(child.exitCode ?? (await new Promise((resolve) => child.once("exit", resolve)))).toBe(5);
  });

  it("read start-up files of their own home once", async () => {
    const file = join(state.hosts[1]!.home, ".bashrc");
    writeFileSync(file, 'LOADED="${LOADED}x"; export LOADED\n');
    try {
      // Only where the account's shell is bash, and built to read it for sshd's commands.
      expect(["", "x"]).toContain((await ssh("host-2", 'printf %s "$LOADED"')).trim());
    } finally {
      rmSync(file);
    }
  });

  it("have host keys of their own, which the ssh config checks", async () => {
    const keys = readFileSync(join(directory, "known_hosts"), "utf8").trim().split("\n");
    expect(new Set(keys.map((line) => line.split(" ")[2])).size).toBe(2);
    await expect(
      run("ssh", [
        "-F",
        state.sshConfig,
        "-o",
        "BatchMode=yes",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "host-1",
        "true",
      ]),
    ).rejects.toMatchObject({ code: 255 });
  });

  it("leave the user's own ssh directory alone, and let nobody else read theirs", async () => {
    const before = modifiedAt(realSshDirectory);
    await ssh("host-1", "true");
    expect(modifiedAt(realSshDirectory)).toBe(before);
    for (const name of ["id_ed25519", "ssh_config", "known_hosts", "host-1/ssh_host_ed25519_key"]) {
      expect(statSync(join(directory, name)).mode & 0o077).toBe(0);
    }
  });

  it("are left as they are by a second `up`", async () => {
    const again = await demoUp({ directory });
    expect(again.started).toEqual([]);
    expect(again.hosts).toEqual(state.hosts);
    expect(demoStatus({ directory }).hosts).toEqual(state.hosts);
  });

  it("grow in number, and keep their ports after `down` and `up`", async () => {
    const third = await demoUp({ directory, count: 3 });
    expect(third.started).toEqual(["host-3"]);
    expect((await demoDown({ directory, hosts: ["host-3"] })).ended).toEqual(["host-3"]);
    expect(demoStatus({ directory }).hosts.map(({ pid }) => pid !== null)).toEqual([true, true, false]);
    const back = await demoUp({ directory, count: 3 });
    expect(back.hosts[2]!.port).toBe(third.hosts[2]!.port);
    await demoDown({ directory, hosts: ["host-3"] });
  });

  it("take another port when theirs is taken meanwhile", async () => {
    const before = state.hosts[1]!;
    await demoDown({ directory, hosts: ["host-2"] });
    const squatter = createServer().listen(before.port!, "127.0.0.1");
    await new Promise((resolve) => squatter.once("listening", resolve));
    try {
      const up = await demoUp({ directory });
      expect(up.started).toEqual(["host-2"]);
      expect(up.hosts[1]!.port).not.toBe(before.port);
      expect(await ssh("host-2", "echo again")).toBe("again\n");
      state = up;
    } finally {
      squatter.close();
    }
  });

  it("are not confused by the pid of another process", async () => {
    const before = state.hosts[1]!;
    await demoDown({ directory, hosts: ["host-2"] });
    const bystander = spawn("sleep", ["60"]);
    try {
      const record = join(directory, "host-2", "sshd.process");
      const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      writeFileSync(record, `${bootId} ${bystander.pid} 1\n`);
      expect(demoStatus({ directory }).hosts[1]!.pid).toBeNull();
      expect((await demoDown({ directory, hosts: ["host-2"] })).ended).toEqual([]);
      expect(isRunning(bystander.pid!)).toBe(true);
      expect((await demoUp({ directory })).hosts[1]!.port).toBe(before.port);
    } finally {
      bystander.kill();
    }
  });

  it("end with all their sessions", async () => {
    const session = spawn("ssh", ["-F", state.sshConfig, "host-1", "trap '' TERM; echo $$; while :; do sleep 1; done"]);
    const remotePid = Number(String(await new Promise((resolve) => session.stdout.once("data", resolve))));
    expect(isRunning(remotePid)).toBe(true);
    const { ended, hosts } = await demoDown({ directory });
    expect(ended).toEqual(["host-1", "host-2"]);
    expect(hosts.every(({ pid }) => pid === null)).toBe(true);
    expect(isRunning(remotePid)).toBe(false);
  });

  it("can be had again after the end, and `down` twice is no error", async () => {
    expect((await demoDown({ directory })).ended).toEqual([]);
    state = await demoUp({ directory });
    expect(await ssh("host-1", "echo back")).toBe("back\n");
  });

  it("refuse a senseless number, and a directory that ssh's configuration cannot hold", async () => {
    await expect(demoUp({ directory, count: 0 })).rejects.toThrow("between 1 and 64");
    const impossible = join(directory, 'with"quote');
    await expect(demoUp({ directory: impossible })).rejects.toThrow("LAZYCLUSTER_DEMO_DIR");
  });

  it("name what to install when sshd is missing", async () => {
    const path = process.env["PATH"];
    // Found in the system's directories all the same, so only the message of another program can be tried here.
    process.env["PATH"] = "";
    try {
      await expect(demoUp({ directory: join(directory, "other") })).rejects.toThrow(/ssh-keygen.*openssh-client/s);
    } finally {
      process.env["PATH"] = path;
    }
  });
});

describe("the demo directory", () => {
  it("is below the user's state directory unless LAZYCLUSTER_DEMO_DIR names another", () => {
    expect(demoDirectory({ XDG_STATE_HOME: "/state" })).toBe("/state/lazycluster/demo");
    expect(demoDirectory({ XDG_STATE_HOME: "relative" })).toBe(join(homedir(), ".local/state/lazycluster/demo"));
    expect(demoDirectory({ XDG_STATE_HOME: "/state", LAZYCLUSTER_DEMO_DIR: "/demo" })).toBe("/demo");
  });
});

describe("the output of `lazycluster demo`", () => {
  it("says how to use what runs, and how to begin", () => {
    const text = demoCommandOutput(state);
    expect(text).toMatch(/^host-1 {2}running {2}127\.0\.0\.1:\d+ {2}pid \d+/);
    expect(text).toContain("export LAZYCLUSTER_SSH_CONFIG='");
    expect(demoCommandOutput({ directory, sshConfig: "x", hosts: [] })).toContain("lazycluster demo up");
  });
});
