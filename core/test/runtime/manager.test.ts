/** Rows of API.md: RuntimeManager. */
import { readFileSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type TestHosts, startHosts } from "../hosts";
import {
  Environment,
  InvalidRuntimeError,
  NoRuntimesDetectedError,
  RuntimeManager,
  type RuntimeManagerType,
  RuntimeTask,
  type Workspace,
  expectCleanHost,
  printed,
  rejection,
  workspace,
} from "../support";

const ACTIVE = ["host-1", "host-2", "host-3"];
let hosts: TestHosts;
let space: Workspace;
let configFile: string;
const managers: RuntimeManagerType[] = [];

async function create(...given: Parameters<typeof RuntimeManager.create>): Promise<RuntimeManagerType> {
  const manager = await RuntimeManager.create(...given);
  managers.push(manager);
  return manager;
}

/** An ssh config of the hosts, by Include, and of others that are not usable. */
function writeConfig(name: string, more: string): string {
  const path = join(hosts.dir, name);
  writeFileSync(path, `Include ${hosts.configFile}\n${more}\nHost *\n  Compression no\n`);
  return path;
}

beforeAll(async () => {
  hosts = await startHosts({ count: 3 });
  configFile = writeConfig(
    "with-others",
    "Host unknown-name\n  HostName no-such-host.invalid\n  ConnectTimeout 5\nHost refused\n  HostName 127.0.0.1\n  Port 1\n",
  );
  space = workspace(configFile);
});
afterEach(async () => {
  await Promise.all(managers.splice(0).map((manager) => manager.close()));
  for (const host of hosts.hosts) await expectCleanHost(host, 2000);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

const group = async (...given: Parameters<RuntimeManagerType["createGroup"]>): Promise<string[]> => {
  const made = await (managers[0] ?? (await create())).createGroup(...given);
  await made.close();
  return made.hosts;
};

describe("RuntimeManager.create", () => {
  it("finds the hosts of the ssh config, and says why each inactive one is", async () => {
    const manager = await create();
    expect(manager.hosts).toEqual(ACTIVE);
    expect(manager.inactiveHosts).toEqual(["unknown-name", "refused"]);
    for (const [host, reason] of manager.inactiveReasons) {
      expect(reason).toBeInstanceOf(InvalidRuntimeError);
      expect(reason).toMatchObject({ host, code: "ERR_CONNECTION", message: expect.stringContaining(host) as string });
    }
    expect(await printed(() => manager.printHosts())).toBe("host-1\nhost-2\nhost-3\n");
    expect(await printed(() => manager.printInactiveHosts())).toMatch(/^unknown-name: .+\nrefused: .+\n$/);
    expect(await printed(() => manager.printRuntimeInfo())).toMatch(/^3 runtimes\n(.*\n){4}$/);
    const show = manager as unknown as Record<symbol, () => { "text/plain": string; "text/html": string }>;
    const bundle = show[Symbol.for("Jupyter.display")]!.call(manager);
    expect(bundle["text/plain"]).toMatch(/^RuntimeManager: 3 hosts active, 2 inactive\n {2}host-1 +active\n/);
    expect(bundle["text/html"]).toContain("inactive");
  });

  it("makes no directory on a host that it only probes", async () => {
    const manager = await create({ sshConfigFile: hosts.configFile });
    expect(manager.inactiveHosts).toEqual([]);
    for (const host of hosts.hosts)
      expect((await host.exec(["sh", "-c", "ls -d /tmp/lazycluster-* 2>/dev/null | wc -l"])).stdout.trim()).toBe("0");
  });

  it("takes the options of every Runtime, and another ssh config", async () => {
    const manager = await create({ sshConfigFile: hosts.configFile, env: { NAME: "given" } });
    const made = await manager.createGroup();
    expect(made.runtimes.map(({ envVariables }) => envVariables)).toEqual(ACTIVE.map(() => ({ NAME: "given" })));
    await made.close();
    expect(await rejection(RuntimeManager.create({ workingDir: "/x" } as object))).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
    const broken = await rejection(RuntimeManager.create({ python: "no-such-python" }));
    expect(broken).toBeInstanceOf(NoRuntimesDetectedError);
    expect((broken as Error).message).toMatch(/no-such-python/);
  });

  it("rejects NoRuntimesDetectedError, with the reasons, when none is usable", async () => {
    const none = join(hosts.dir, "empty");
    writeFileSync(none, "Host *.example\n  User me\n");
    expect(await rejection(RuntimeManager.create({ sshConfigFile: none }))).toMatchObject({
      name: "NoRuntimesDetectedError",
      code: "ERR_NO_RUNTIMES",
      message: expect.stringMatching(/empty names no hosts/) as string,
    });
    writeFileSync(none, "Host down\n  HostName 127.0.0.1\n  Port 1\n");
    const error = await rejection(RuntimeManager.create({ sshConfigFile: none }));
    expect(error).toMatchObject({
      code: "ERR_NO_RUNTIMES",
      cause: { host: "down" },
      message: expect.stringMatching(/None of the 1 hosts in .*empty is usable:\n {2}down: /) as string,
    });
  });

  it("waits for hosts that are down together: 32 of which 8 never answer take about one connect time-out", async () => {
    // A listener that takes connections and never says a word is what a host that hangs looks like.
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as { port: number };
    const one = readFileSync(hosts.configFile, "utf8")
      .split(/^(?=Host )/m)
      .filter((part) => part.startsWith("Host "));
    const up = Array.from({ length: 24 }, (_, index) =>
      one[index % 3]!.replace(/^Host .*/, `Host up-${String(index)}`),
    );
    const down = Array.from(
      { length: 8 },
      (_, index) => `Host down-${String(index)}\n  HostName 127.0.0.1\n  Port ${String(port)}\n  ConnectTimeout 2\n`,
    );
    const file = join(hosts.dir, "many");
    writeFileSync(file, [...down, ...up].join("\n"));
    try {
      const start = performance.now();
      const manager = await create({ sshConfigFile: file });
      const took = performance.now() - start;
      expect(manager.hosts).toHaveLength(24);
      expect(manager.inactiveHosts).toHaveLength(8);
      // One after another they would take 16 s.
      expect(took).toBeLessThan(8000);
      expect(took).toBeGreaterThan(1900);
    } finally {
      silent.close();
    }
  });
});

/** A port of this machine whose connects get no answer at all, as those to a host that is down: its queue is full. */
async function deafPort(): Promise<{ port: number; close(): void }> {
  const program =
    "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(0); " +
    "c = socket.create_connection(s.getsockname()); print(s.getsockname()[1], flush=True); sys.stdin.read()";
  const child = spawn("python3", ["-c", program], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  const port = Number(line);
  const socket = connect(port, "127.0.0.1").on("error", () => undefined);
  const connected = once(socket, "connect").then(() => true);
  expect(await Promise.race([connected, sleep(300, false)])).toBe(false);
  socket.destroy();
  return { port, close: () => void child.kill("SIGKILL") };
}

describe.each(["ssh2", "openssh"] as const)("a hundred hosts that are down, by %s", (transport) => {
  it("hold up neither each other nor those that are up", { timeout: 90_000 }, async () => {
    const deaf = await deafPort();
    const seconds = 6;
    const down = Array.from(
      { length: 100 },
      (_, index) =>
        `Host down-${String(index)}\n  HostName 127.0.0.1\n  Port ${String(deaf.port)}\n  ConnectTimeout ${String(seconds)}\n`,
    );
    const file = join(hosts.dir, `down-${transport}`);
    // Those that are up come last.
    writeFileSync(file, [...down, readFileSync(hosts.configFile, "utf8")].join("\n"));
    try {
      const start = performance.now();
      const manager = await create({ sshConfigFile: file, transport });
      const took = performance.now() - start;
      console.log(`by ${transport}: ${(took / 1000).toFixed(1)} s with a connect time-out of ${String(seconds)} s`);
      expect(manager.hosts).toEqual(ACTIVE);
      expect(manager.inactiveHosts).toHaveLength(100);
      for (const { message } of manager.inactiveReasons.values())
        expect(message).toContain("did not answer within 6 s");
      // In rounds of 32 it would be 24 s.
      expect(took).toBeLessThan(3 * seconds * 1000);
    } finally {
      deaf.close();
    }
  });
});

describe("createGroup", () => {
  it("includeHosts, excludeHosts: of all active hosts by default; either, not both", async () => {
    await create();
    expect(await group()).toEqual(ACTIVE);
    expect(await group({ includeHosts: "host-2" })).toEqual(["host-2"]);
    expect(await group({ includeHosts: ["host-3", "host-1"] })).toEqual(["host-1", "host-3"]);
    expect(await group({ excludeHosts: ["host-1", "refused"] })).toEqual(["host-2", "host-3"]);
    const wrong = [
      { includeHosts: "host-1", excludeHosts: "host-2" },
      { includeHosts: "host-9" },
      { excludeHosts: ["host-9"] },
      { hosts: "host-1" },
      { minMemory: "much" },
    ];
    for (const filters of wrong)
      expect(await rejection(managers[0]!.createGroup(filters as object))).toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
      });
  });

  it("gpuRequired, minMemory, minCpuCores, installedExecutables, filterCommands: hosts that pass", async () => {
    const manager = await create();
    writeFileSync(join(hosts.hosts[1]!.dir, "tmp", "here"), "");
    expect(await group({ filterCommands: "[ -e /tmp/here ] && echo true" })).toEqual(["host-2"]);
    expect(await group({ installedExecutables: ["sh", "python3"], minMemory: 1, minCpuCores: 0.1 })).toEqual(ACTIVE);
    for (const filters of [
      { gpuRequired: true },
      { minMemory: 1e9 },
      { minCpuCores: 1e5 },
      { installedExecutables: "surely-not-there" },
      { filterCommands: "echo no" },
    ]) {
      const error = await rejection(manager.createGroup(filters));
      expect(error).toBeInstanceOf(NoRuntimesDetectedError);
      expect((error as Error).message).toMatch(/no host passes.*\n {2}host-1: .*\n {2}host-2: .*\n {2}host-3: /);
    }
  });

  it("leaves a host out that went away meanwhile, and says so", async () => {
    const warnings: string[] = [];
    const { logger } = Environment;
    const manager = await create();
    await manager.close();
    await hosts.hosts[0]!.stopSshd();
    Environment.logger = { ...logger, warn: (message) => warnings.push(message) };
    try {
      expect(await group()).toEqual(["host-2", "host-3"]);
    } finally {
      Environment.logger = logger;
      await hosts.hosts[0]!.startSshd();
    }
    expect(warnings).toEqual([expect.stringMatching(/left out: host-1: /)]);
  });

  it("workingDir is that of every host", async () => {
    const manager = await create();
    const made = await manager.createGroup({ workingDir: "/tmp/of group", excludeHosts: "host-2" });
    const tasks = await made.executeTask(new RuntimeTask().runCommand("pwd; rmdir '/tmp/of group'"), {
      broadcast: true,
    });
    expect(tasks.map(({ executionLog }) => executionLog)).toEqual([["/tmp/of group\n"], ["/tmp/of group\n"]]);
    await made.close();
  });

  it("makes groups that share nothing: the end of one ends nothing of another", async () => {
    const manager = await create();
    const [first, second] = await Promise.all([manager.createGroup(), manager.createGroup()]);
    const execution = second.executeTask(new RuntimeTask().runCommand("sleep 1; echo done; pwd"), { broadcast: true });
    const dirs = await Promise.all([first, second].map((made) => made.runtimes[0]!.workingDir));
    expect(dirs[0]).not.toBe(dirs[1]);
    await first.close();
    await manager.close();
    expect((await execution).map(({ executionLog }) => executionLog[0])).toEqual(
      ACTIVE.map(() => expect.stringMatching(/^done\n/) as string),
    );
    await second.close();
  });
});
