/** Hosts that cannot be used: one clear error each, of the right class, in bounded time, and nothing left behind. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { once } from "node:events";
import { homedir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  PYTHONS,
  type TestHost,
  type TestHosts,
  canIsolate,
  knownHostsLines,
  makeKey,
  publicKey,
  startHosts,
  needsIsolation,
  unless,
} from "../hosts";
import {
  AuthenticationError,
  ConnectionError,
  Environment,
  type ErrorCode,
  HostKeyError,
  InvalidRuntimeError,
  type LazyclusterErrorType,
  PathCreationError,
  Runtime,
  type RuntimeOptions,
  RuntimeTask,
  TaskExecutionError,
  type Workspace,
  expectCleanHost,
  leftovers,
  rejection,
  temporaryFolders,
  workspace,
} from "../support";

/** [ms] that any refusal may take. */
const BOUND = 5000;

let hosts: TestHosts;
let host: TestHost;
let space: Workspace;

beforeAll(async () => {
  hosts = await startHosts({ pythons: true });
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

interface Expected {
  readonly type: abstract new (...args: never[]) => LazyclusterErrorType;
  readonly code: ErrorCode;
  readonly says: RegExp;
}

/** Tries it by `connect`, by `isValidRuntime` and by a task: all must agree. */
async function expectRefusal(
  name: string,
  options: RuntimeOptions,
  { type, code, says }: Expected,
): Promise<LazyclusterErrorType> {
  const start = performance.now();
  const error = (await rejection(Runtime.connect(name, options))) as LazyclusterErrorType;
  expect(performance.now() - start).toBeLessThan(BOUND);
  expect(error).toBeInstanceOf(type);
  expect(error.name).toBe(type.name);
  expect(error.code).toBe(code);
  expect(error.host).toBe(name);
  expect(error.message).toContain(name);
  expect(error.message).toMatch(says);
  const runtime = new Runtime(name, options);
  expect(await runtime.isValidRuntime()).toBe(false);
  const task = new RuntimeTask("never").runCommand("echo started");
  const failure = (await rejection(runtime.executeTask(task))) as LazyclusterErrorType;
  expect(failure).toBeInstanceOf(type);
  expect(failure).not.toBeInstanceOf(TaskExecutionError);
  expect(failure.message).toBe(error.message);
  expect(task.state).toBe("failed");
  expect(task.executionLog).toEqual([]);
  await runtime.close();
  return error;
}

describe("one clear error for", () => {
  it("an unknown host key", async () => {
    const knownHostsFile = space.path("known_hosts");
    writeFileSync(knownHostsFile, "");
    const error = await expectRefusal(
      "host-1",
      { connection: { knownHostsFile } },
      { type: HostKeyError, code: "ERR_HOST_KEY", says: /SHA256:.*known_hosts/s },
    );
    expect(error).toMatchObject({ fingerprint: expect.stringMatching(/^SHA256:/) as string, knownHostsFile });
    expect(readFileSync(knownHostsFile, "utf8")).toBe("");
    await expectCleanHost(host, 2000);
  });

  it("a changed host key", async () => {
    const other = await makeKey(space.path("key"));
    const knownHostsFile = space.path("known_hosts");
    writeFileSync(knownHostsFile, knownHostsLines(host.address, host.port, [await publicKey(other)]));
    for (const strictHostKeyChecking of ["yes", "accept-new"] as const) {
      const error = await expectRefusal(
        "host-1",
        { connection: { knownHostsFile, strictHostKeyChecking } },
        { type: HostKeyError, code: "ERR_HOST_KEY", says: /changed/i },
      );
      expect(error).toMatchObject({ knownHostsFile });
    }
  });

  it("a revoked host key", async () => {
    const knownHostsFile = space.path("known_hosts");
    const keys = await Promise.all(["host_ed25519", "host_rsa"].map((name) => publicKey(join(host.dir, name))));
    const known = knownHostsLines(host.address, host.port, keys);
    writeFileSync(knownHostsFile, known + known.replace(/^/gm, "@revoked ").replace(/@revoked $/, ""));
    for (const strictHostKeyChecking of ["yes", "accept-new"] as const) {
      await expectRefusal(
        "host-1",
        { connection: { knownHostsFile, strictHostKeyChecking } },
        { type: HostKeyError, code: "ERR_HOST_KEY", says: /revoked/i },
      );
    }
  });

  it("a key that the host does not accept", async () => {
    const identityFile = await makeKey(space.path("key"));
    await expectRefusal(
      "host-1",
      { connection: { identityFile } },
      { type: AuthenticationError, code: "ERR_AUTHENTICATION", says: /key/i },
    );
    await expectCleanHost(host, 2000);
  });

  it("a wrong passphrase", async () => {
    const identityFile = await makeKey(space.path("key"), { passphrase: "right" });
    appendFileSync(join(host.dir, "authorized_keys"), `${await publicKey(identityFile)}\n`);
    const runtime = await Runtime.connect("host-1", { connection: { identityFile, passphrase: "right" } });
    await runtime.close();
    await expectRefusal(
      "host-1",
      { connection: { identityFile, passphrase: "wrong" } },
      { type: AuthenticationError, code: "ERR_AUTHENTICATION", says: /passphrase/i },
    );
  });

  it("a name that cannot be resolved", async () => {
    await expectRefusal(
      "no-such-host.invalid",
      {},
      { type: ConnectionError, code: "ERR_CONNECTION", says: /name|resolve|found/i },
    );
  });

  it("a refused port", async () => {
    await expectRefusal(
      "host-1",
      { connection: { port: 9 } },
      { type: ConnectionError, code: "ERR_CONNECTION", says: /refused/i },
    );
  });

  it("a port that never answers", async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket.on("error", () => undefined))).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    await expectRefusal(
      `127.0.0.1:${port}`,
      { connection: { connectTimeoutMs: 400 } },
      { type: ConnectionError, code: "ERR_CONNECTION", says: /400 ms|0\.4 s/ },
    );
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  it("an interpreter that is not there", async () => {
    await expectRefusal(
      "host-1",
      { python: "python-nowhere" },
      { type: InvalidRuntimeError, code: "ERR_INVALID_RUNTIME", says: /python-nowhere.*3\.6/s },
    );
    await expectCleanHost(host, 2000);
  });

  for (const version of ["2.7.18"]) {
    const there = existsSync(join(homedir(), ".pyenv", "versions", version)) && canIsolate();
    it(`a too old Python (${version})`, unless(!there && `no Python ${version} of pyenv here`), async () => {
      const python = `${PYTHONS}/${version}/bin/python`;
      await expectRefusal(
        "host-1",
        { python },
        {
          type: InvalidRuntimeError,
          code: "ERR_INVALID_RUNTIME",
          says: new RegExp(`${version.replaceAll(".", "\\.")}.*3\\.6`, "s"),
        },
      );
      await expectCleanHost(host, 2000);
    });
  }

  it("an interpreter that is none", async () => {
    await expectRefusal(
      "host-1",
      { python: "/bin/echo" },
      { type: InvalidRuntimeError, code: "ERR_INVALID_RUNTIME", says: /agent/ },
    );
    await expectRefusal(
      "host-1",
      { python: "/bin/false" },
      { type: InvalidRuntimeError, code: "ERR_INVALID_RUNTIME", says: /status 1/ },
    );
    await expectCleanHost(host, 2000);
  });
});

describe("a login shell", needsIsolation(), () => {
  let odd: TestHosts | null = null;

  async function start(options: Parameters<typeof startHosts>[0]): Promise<TestHost> {
    odd = await startHosts(options);
    Environment.sshConfigFile = odd.configFile;
    return odd.hosts[0]!;
  }
  const stop = async (): Promise<void> => {
    await odd?.stop();
    Environment.sshConfigFile = hosts.configFile;
  };

  it("without python3 on its PATH: one clear error", async () => {
    const there = await start({ path: "/run/host" });
    try {
      await expectRefusal(
        "host-1",
        {},
        { type: InvalidRuntimeError, code: "ERR_INVALID_RUNTIME", says: /python3.*3\.6/s },
      );
      await expectCleanHost(there, 2000);
    } finally {
      await stop();
    }
  });

  it("that prints banners on both streams works", async () => {
    const there = await start({
      shell: {
        script:
          '#!/bin/sh\necho "*** Welcome to $(hostname) ***"; echo "authorized use only" >&2\nprintf "\\000\\001half a marker\\n"\nexec /bin/bash "$@"\n',
      },
    });
    try {
      const runtime = new Runtime("host-1");
      const task = new RuntimeTask().runCommand("echo out; echo err >&2");
      await runtime.executeTask(task);
      // Steps go through the same shell, as they do with sshd.
      expect(task.executionLog[0]).toContain("out\n");
      await runtime.close();
      await expectCleanHost(there, 2000);
    } finally {
      await stop();
    }
  });

  it("that prints without an end: one clear error", async () => {
    const there = await start({ shell: { script: "#!/bin/sh\nexec yes welcome\n" } });
    try {
      await expectRefusal(
        "host-1",
        {},
        { type: InvalidRuntimeError, code: "ERR_INVALID_RUNTIME", says: /prints more than 65536 bytes.*welcome/s },
      );
      await expectCleanHost(there, 2000);
    } finally {
      await stop();
    }
  });

  it("that is `nologin`: one clear error", async () => {
    const there = await start({ shell: "/usr/sbin/nologin" });
    try {
      await expectRefusal(
        "host-1",
        {},
        { type: InvalidRuntimeError, code: "ERR_INVALID_RUNTIME", says: /not available|shell/i },
      );
      await expectCleanHost(there, 2000);
    } finally {
      await stop();
    }
  });
});

describe("a file system", needsIsolation(), () => {
  it("that is full: the task fails, names the reason, leaves the old file and nothing else", async () => {
    await host.mountTmpfs("/mnt/small", 512);
    const runtime = new Runtime("host-1", { workingDir: "/mnt/small" });
    const old = space.path("old");
    writeFileSync(old, "old content");
    await runtime.sendFile(old, "target");
    const big = space.path("big");
    writeFileSync(big, Buffer.alloc(2_000_000, 7));
    const folder = space.path("folder");
    mkdirSync(folder);
    for (const name of ["a", "b", "c"]) writeFileSync(join(folder, name), Buffer.alloc(400_000, 7));
    for (const send of [() => runtime.sendFile(big, "target"), () => runtime.sendFile(folder, "folder")]) {
      const start = performance.now();
      const error = await rejection(send());
      expect(performance.now() - start).toBeLessThan(BOUND);
      expect(error).toBeInstanceOf(TaskExecutionError);
      expect(error).toMatchObject({
        code: "ERR_TASK_FAILED",
        reason: "failed",
        host: "host-1",
        message: expect.stringMatching(/^host-1: .*(No space left|space)/s) as string,
      });
      const { stdout } = await host.exec(["sh", "-c", "cd /mnt/small; ls -A; cat target"]);
      expect(stdout).toBe("target\nold content");
    }
    const task = new RuntimeTask().runCommand("head -c 2000000 /dev/zero > filled");
    expect(await rejection(runtime.executeTask(task))).toMatchObject({
      reason: "failed",
      output: expect.stringContaining("No space left") as string,
    });
    await runtime.close();
    await expectCleanHost(host, 2000);
  });

  it("that is read-only under the working directory: PathCreationError where it must be made, a failed step where it exists", async () => {
    await host.mountTmpfs("/mnt/fixed", 512, { readonly: true });
    const runtime = new Runtime("host-1", { workingDir: "/mnt/fixed/new" });
    const task = new RuntimeTask().runCommand("echo never");
    for (const attempt of [
      () => runtime.workingDir,
      () => runtime.executeTask(task),
      () => runtime.createDir("/mnt/fixed/x"),
      () => runtime.setWorkingDir("/mnt/fixed/y"),
    ]) {
      const error = await rejection(attempt());
      expect(error).toBeInstanceOf(PathCreationError);
      expect(error).toMatchObject({
        code: "ERR_PATH_CREATION",
        host: "host-1",
        path: expect.stringMatching(/^\/mnt\/fixed/) as string,
        message: expect.stringMatching(/^host-1: .*\/mnt\/fixed.*read-only/is) as string,
      });
    }
    await runtime.close();

    const there = new Runtime("host-1", { workingDir: "/mnt/fixed" });
    const file = space.path("file");
    writeFileSync(file, "text");
    expect(await rejection(there.sendFile(file, "copy"))).toMatchObject({
      code: "ERR_TASK_FAILED",
      message: expect.stringMatching(/read-only/i) as string,
    });
    await there.executeTask(new RuntimeTask().runCommand("pwd"));
    await there.close();
    await expectCleanHost(host, 2000);
  });

  it("where a file is in the place of the working directory: PathCreationError", async () => {
    const runtime = new Runtime("host-1", { workingDir: "/etc/hostname" });
    expect(await rejection(runtime.workingDir)).toMatchObject({ name: "PathCreationError", path: "/etc/hostname" });
    await runtime.close();
  });

  it("from which the working directory was removed meanwhile: the step fails and names it", async () => {
    const runtime = new Runtime("host-1", { workingDir: "/tmp/gone $(touch x)" });
    await runtime.executeTask(new RuntimeTask().runCommand("true"));
    await host.exec(["rmdir", "/tmp/gone $(touch x)"]);
    const error = (await rejection(runtime.executeTask(new RuntimeTask().runCommand("true")))) as LazyclusterErrorType;
    expect(error).toMatchObject({ code: "ERR_TASK_FAILED", cause: { code: "ERR_PATH_CREATION" } });
    expect(error.message).toContain("/tmp/gone $(touch x)");
    await runtime.close();
  });

  it("that refuses an ordinary user: PathCreationError", async () => {
    const ordinary = await startHosts({ user: "ordinary" });
    Environment.sshConfigFile = ordinary.configFile;
    try {
      const runtime = new Runtime("host-1", { workingDir: "/root/secret" });
      const error = (await rejection(runtime.workingDir)) as LazyclusterErrorType;
      expect(error).toBeInstanceOf(PathCreationError);
      expect(error.message).toMatch(/\/root\/secret.*permission/is);
      await runtime.close();
      await expectCleanHost(ordinary.hosts[0]!, 2000);
    } finally {
      await ordinary.stop();
      Environment.sshConfigFile = hosts.configFile;
    }
  });
});

it("nothing is left behind on either side", async () => {
  await expectCleanHost(host, 2000);
  expect(temporaryFolders(host)).toEqual([]);
  expect(leftovers(space.dir)).toEqual([]);
  expect(readdirSync(process.cwd()).filter((name) => name.startsWith(".lazycluster-"))).toEqual([]);
});
