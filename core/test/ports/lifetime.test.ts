/** How port exposures live and end: with their host, their Runtime, their manager. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts, needsIsolation } from "../hosts";
import {
  Environment,
  type Manager,
  PortExposure,
  type PortExposureType,
  Runtime,
  RuntimeTask,
  type RuntimeType,
  type Workspace,
  eventually,
  expectCleanHost,
  linkUp,
  rejection,
  startManager,
  timeUntil,
  workspace,
} from "../support";
import { type Service, anyPort, here, holdHere, listeners, there } from "./services";

let hosts: TestHosts;
let host: TestHost;
let space: Workspace;
const scripts: Manager[] = [];
const services: Service[] = [];

beforeAll(async () => {
  hosts = await startHosts({ user: "ordinary" });
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
});
afterEach(async () => {
  for (const script of scripts.splice(0)) script.kill();
  for (const service of services.splice(0)) await service.stop();
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

async function serveHere(port: number): Promise<void> {
  services.push(await here.serve(port, space.path("sent")));
}

const WAYS = [
  { name: "by sshd", options: {} },
  { name: "by the agent", options: { anyUser: false } },
];

describe("a host that allows the agent few files", () => {
  it("refuses exposures beyond them, and keeps what runs", async () => {
    const runtime = new Runtime("host-1", { workingDir: "/tmp" });
    const few = "import resource, sys; resource.prlimit(int(sys.argv[1]), resource.RLIMIT_NOFILE, (30, 30))";
    await runtime.executeTask(new RuntimeTask("few").runCommand(`python3 -c '${few}' $PPID`));
    const sleeper = runtime.executeTask(new RuntimeTask("sleeps").runCommand("sleep 4713"));
    const opened = await Promise.allSettled(
      Array.from({ length: 20 }, async () => {
        const port = await anyPort();
        return runtime.exposePortToRuntime(port, port, { anyUser: false });
      }),
    );
    const refused = opened.filter(({ status }) => status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(opened.length);
    for (const result of refused) {
      expect(String((result as PromiseRejectedResult).reason)).toContain("allows the agent no more files");
    }
    expect(sleeper.process).toMatchObject({ alive: true, state: "running" });
    await sleeper.cancel();
    expect(sleeper.task.state).toBe("cancelled");
    await runtime.cleanup();
    await expectCleanHost(host, 2000);
  });
});

describe.each(WAYS)("a port that is exposed to a host, $name", ({ options }) => {
  it("listens on the loopback only, and is closed by cleanup(), which breaks its connections off", async () => {
    const port = await anyPort();
    await serveHere(port);
    const runtime = new Runtime("host-1");
    const key = await runtime.exposePortToRuntime(port, port, options);
    expect(await listeners(host, port)).toEqual(["0100007F"]);
    expect(runtime.aliveProcessCount).toBe(1);
    expect(runtime.aliveTaskProcessCount).toBe(0);
    const handle = runtime.getProcess(key);
    await runtime.cleanup();
    expect(await listeners(host, port)).toEqual([]);
    expect(handle).toMatchObject({ alive: false, state: "done" });
    await handle.join();
    await expectCleanHost(host, 2000);
  });

  it.each(["SIGKILL", "SIGINT"] as const)("is gone within 2 s after %s to the manager", async (signal) => {
    const [to, from] = [await anyPort(), await anyPort()];
    const script = startManager(
      `
      const runtime = new Runtime("host-1");
      await runtime.exposePortToRuntime(input.to, input.to, input.options);
      await runtime.exposePortFromRuntime(input.from);
      say("exposed");
      await heard();
      `,
      { env: space.env, input: { to, from, options } },
    );
    scripts.push(script);
    await script.hear("exposed");
    expect(await listeners(host, to)).toHaveLength(1);
    script.kill(signal);
    await eventually(async () => (await listeners(host, to)).length === 0, 2000, "nothing listens");
    await expectCleanHost(host, 2000);
    await script.exited;
    const again = new Runtime("host-1");
    await again.exposePortToRuntime(to, to, options);
    await again.exposePortFromRuntime(from);
    await again.close();
  });

  it("does not end with the Runtime's variable, and keeps no process alive", async () => {
    const port = await anyPort();
    const script = startManager(
      `
      await new Runtime("host-1").exposePortToRuntime(input.port, input.port, input.options);
      for (let i = 0; i < 20; i++) { globalThis.gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
      say("collected");
      await heard();
      `,
      { env: space.env, input: { port, options }, nodeArgs: ["--expose-gc"] },
    );
    scripts.push(script);
    await script.hear("collected");
    expect(await listeners(host, port)).toHaveLength(1);
    script.tell("go");
    expect((await script.exited).code).toBe(0);
    expect(await listeners(host, port)).toEqual([]);
  });

  it(
    "comes back with its host, and says so; nothing listens there when the lease is over",
    { ...needsIsolation(), timeout: 90_000 },
    async () => {
      const port = await anyPort();
      await serveHere(port);
      const runtime = new Runtime("host-1", { leaseMs: 2000, connection: { keepaliveIntervalMs: 1000 } });
      const handle = await exposed(runtime, () => runtime.exposePortToRuntime(port, port, options));
      const client = there(host, runtime);
      expect((await client.run("once", port)).stdout.trim()).toBe("ok");
      const said = await listening(async () => {
        await host.linkDown();
        try {
          await eventually(() => !handle.reachable, 5000, "the loss is seen");
          expect(handle).toMatchObject({ alive: true, state: "running" });
          await eventually(async () => (await listeners(host, port)).length === 0, 6000, "nothing listens");
        } finally {
          await linkUp(host);
        }
        const ms = await timeUntil(() => expect(handle.reachable).toBe(true), 30_000, "it is there again");
        console.log(`there again ${ms.toFixed(0)} ms after the network`);
      });
      expect((await client.run("once", port)).stdout.trim()).toBe("ok");
      expect(said.filter((line) => /^warn host-1: .*is interrupted.*lost/.test(line))).toHaveLength(1);
      expect(said.filter((line) => /^info host-1: .*is there again/.test(line))).toHaveLength(1);
      await runtime.close();
      expect(await listeners(host, port)).toEqual([]);
    },
  );
});

describe("a cut network", needsIsolation(), () => {
  it.each([60_000, 0])(
    "does not keep a stop or a cleanup waiting (keepaliveIntervalMs %d)",
    { timeout: 60_000 },
    async (keepaliveIntervalMs) => {
      const runtime = new Runtime("host-1", { leaseMs: 2000, connection: { keepaliveIntervalMs } });
      const [first, second, third] = [await anyPort(), await anyPort(), await anyPort()];
      const keys = [
        await runtime.exposePortToRuntime(first),
        await runtime.exposePortToRuntime(second, second, { anyUser: false }),
        await runtime.exposePortFromRuntime(third),
      ];
      await host.linkDown();
      try {
        const start = performance.now();
        const late = rejection(runtime.exposePortToRuntime(await anyPort()));
        await Promise.all(keys.map((key) => runtime.stopProcess(key)));
        await runtime.cleanup();
        expect(performance.now() - start).toBeLessThan(20_000);
        expect(await late).toMatchObject({ code: "ERR_CANCELLED" });
        expect(keys.map((key) => runtime.getProcess(key).state)).toEqual(["done", "done", "done"]);
        for (const port of [first, second])
          await eventually(async () => (await listeners(host, port)).length === 0, 6000, "nothing listens");
      } finally {
        await linkUp(host);
      }
    },
  );
});

it(
  "a host that is back before its lease is over frees the port of the old connection first",
  { ...needsIsolation(), timeout: 90_000 },
  async () => {
    const port = await anyPort();
    await serveHere(port);
    const runtime = new Runtime("host-1", { leaseMs: 60_000, connection: { keepaliveIntervalMs: 1000 } });
    const handle = await exposed(runtime, () => runtime.exposePortToRuntime(port));
    await host.linkDown();
    await eventually(() => !handle.reachable, 5000, "the loss is seen");
    await linkUp(host);
    const ms = await timeUntil(() => expect(handle.reachable).toBe(true), 60_000, "it is there again");
    console.log(`there again ${ms.toFixed(0)} ms after the network`);
    expect((await there(host, runtime).run("once", port)).stdout.trim()).toBe("ok");
    await runtime.close();
    expect(await listeners(host, port)).toEqual([]);
  },
);

describe("a port that is exposed from a host", () => {
  it(
    "keeps its port while the host is away: connections fail one by one, and work again when it is back",
    { ...needsIsolation(), timeout: 90_000 },
    async () => {
      const port = await anyPort();
      const runtime = new Runtime("host-1", { leaseMs: 2000, connection: { keepaliveIntervalMs: 1000 } });
      const service = new Runtime("host-1", { leaseMs: 2000, connection: { keepaliveIntervalMs: 1000 } });
      const handle = await exposed(runtime, () => runtime.exposePortFromRuntime(port));
      await there(host, service).serve(port, "/tmp/sent");
      const holding = await holdHere("broken", port);
      let outcome = "";
      holding.stdout!.on("data", (text: Buffer) => (outcome += text.toString()));
      const said = await listening(async () => {
        await host.linkDown();
        try {
          await eventually(() => !handle.reachable, 5000, "the loss is seen");
          await eventually(() => outcome !== "", 5000, "the connection ends");
          expect(outcome.trim()).toBe("broken");
          expect((await here.run("once", port)).stderr).toMatch(/Error/);
          expect(await new Runtime("localhost").use((local) => local.hasFreePort(port))).toBe(false);
        } finally {
          await linkUp(host);
        }
        const ms = await timeUntil(() => expect(handle.reachable).toBe(true), 30_000, "it is there again");
        console.log(`there again ${ms.toFixed(0)} ms after the network`);
      });
      await service.cleanup();
      services.push(await there(host, runtime).serve(port, "/tmp/sent"));
      expect((await here.run("once", port)).stdout.trim()).toBe("ok");
      expect(said.filter((line) => line.startsWith("warn localhost: "))).toHaveLength(1);
      await runtime.close();
      expect((await here.run("once", port)).stderr).toContain("ConnectionRefusedError");
    },
  );

  it("ends with an error when the host refuses the login afterwards", { timeout: 60_000 }, async () => {
    const port = await anyPort();
    const runtime = new Runtime("host-1");
    const handle = await exposed(runtime, () => runtime.exposePortFromRuntime(port));
    const said = await listening(async () => {
      await host.stopSshd();
      await host.rotateHostKey();
      for (const { args, outerPid } of await host.sshdProcesses())
        if (args.includes("@notty")) process.kill(outerPid, "SIGKILL");
      await host.startSshd();
      await handle.join();
    });
    expect(handle).toMatchObject({ alive: false, state: "failed", error: { code: "ERR_HOST_KEY" } });
    expect(said.filter((line) => /^error localhost: .*has ended: host-1: /.test(line))).toHaveLength(1);
    expect((await here.run("once", port)).stderr).toContain("ConnectionRefusedError");
    await runtime.close();
  });
});

async function exposed(runtime: RuntimeType, make: () => Promise<string>): Promise<PortExposureType> {
  const handle = runtime.getProcess(await make());
  if (!(handle instanceof PortExposure)) throw new Error("no port exposure");
  return handle;
}

/** What the logger heard meanwhile. */
async function listening(work: () => Promise<void>): Promise<string[]> {
  const said: string[] = [];
  const { logger } = Environment;
  const hear =
    (level: string) =>
    (message: unknown): void =>
      void said.push(`${level} ${String(message)}`);
  Environment.logger = { error: hear("error"), warn: hear("warn"), info: hear("info"), debug: () => undefined };
  try {
    await work();
  } finally {
    Environment.logger = logger;
  }
  return said;
}
