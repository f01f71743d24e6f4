/** Which port: free ones, taken ones, ports of machines that several runtimes share, groups, and who may connect. */
import { appendFileSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import type { Server } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts, needsRoot } from "../hosts";
import {
  InvalidArgumentError,
  type Manager,
  NoPortsLeftError,
  PortInUseError,
  Runtime,
  RuntimeGroup,
  type RuntimeGroupType,
  RuntimeTask,
  type RuntimeTaskType,
  type RuntimeType,
  type Workspace,
  eventually,
  rejection,
  startManager,
  workspace,
} from "../support";
import { type Service, anyPort, here, listenHere, listeners, there } from "./services";

let hosts: TestHosts;
let first: TestHost;
let second: TestHost;
let space: Workspace;
const servers: Server[] = [];
const services: Service[] = [];
const scripts: Manager[] = [];
const runtimes: RuntimeType[] = [];

beforeAll(async () => {
  hosts = await startHosts({ count: 2 });
  [first, second] = [hosts.hosts[0]!, hosts.hosts[1]!];
  // Another name, and so another connection, for the first one.
  const config = readFileSync(hosts.configFile, "utf8");
  const own = /^Host host-1\n(?:[ \t]+.*\n)+/m.exec(config)?.[0] ?? "";
  appendFileSync(hosts.configFile, `\n${own.replace("host-1", "twin-1")}`);
  space = workspace(hosts.configFile);
});
afterEach(async () => {
  for (const script of scripts.splice(0)) script.kill();
  await Promise.all(runtimes.splice(0).map((runtime) => runtime.close()));
  for (const service of services.splice(0)) await service.stop();
  for (const server of servers.splice(0)) server.close();
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

function open(host: string): RuntimeType {
  const runtime = new Runtime(host);
  runtimes.push(runtime);
  return runtime;
}

function group(...names: string[]): RuntimeGroupType {
  const made = new RuntimeGroup(...names);
  runtimes.push(...made.runtimes);
  return made;
}

async function taken(): Promise<number> {
  const { port, server } = await listenHere();
  servers.push(server);
  return port;
}

async function serveThere(host: TestHost, port: number): Promise<void> {
  services.push(await there(host, open(host.alias)).serve(port, "/tmp/sent"));
}

const ok = async (machine: typeof here, port: number): Promise<boolean> =>
  (await machine.run("once", port)).stdout.trim() === "ok";

describe("one runtime", () => {
  it("hasFreePort and getFreePort ask the host, on all of its addresses", async () => {
    const runtime = open("host-1");
    const [busy, wild, free] = [await anyPort(), await anyPort(), await anyPort()];
    await serveThere(first, busy);
    const listen = `import socket, sys; s = socket.create_server(("0.0.0.0", ${String(wild)})); print("ready", flush=True); s.accept()`;
    void first.exec(["timeout", "20", "python3", "-c", listen]);
    await eventually(async () => (await listeners(first, wild)).length > 0, 5000);
    expect(await runtime.hasFreePort(busy)).toBe(false);
    expect(await runtime.hasFreePort(wild)).toBe(false);
    expect(await runtime.hasFreePort(free)).toBe(true);
    expect(await runtime.getFreePort([busy, wild, free, 1025])).toBe(free);
    const error = await rejection(runtime.getFreePort([busy, wild]));
    expect(error).toBeInstanceOf(NoPortsLeftError);
    expect(error).toMatchObject({
      code: "ERR_NO_PORTS_LEFT",
      message: expect.stringContaining(String(busy)) as string,
    });
    expect(await rejection(runtime.getFreePort([]))).toBeInstanceOf(NoPortsLeftError);
  });

  it("a port that is taken rejects PortInUseError, on the host and on the manager", async () => {
    const runtime = open("host-1");
    const local = await taken();
    const remote = await anyPort();
    await serveThere(first, remote);
    for (const options of [{}, { anyUser: false }, { anyUser: true }]) {
      const error = await rejection(runtime.exposePortToRuntime(local, remote, options));
      expect(error).toBeInstanceOf(PortInUseError);
      expect(error).toMatchObject({ code: "ERR_PORT_IN_USE", port: remote, host: "host-1" });
      expect((error as Error).message).toMatch(/^host-1: /);
    }
    const error = await rejection(runtime.exposePortFromRuntime(remote, local));
    expect(error).toBeInstanceOf(PortInUseError);
    expect(error).toMatchObject({ port: local, host: "localhost" });
    expect(runtime.getProcesses().size).toBe(0);
  });

  it("what leads there already is not exposed twice; something else is refused", async () => {
    const runtime = open("host-1");
    const [local, port] = [await taken(), await anyPort()];
    const key = await runtime.exposePortToRuntime(local, port);
    expect(await runtime.exposePortToRuntime(local, port)).toBe(key);
    expect(await rejection(runtime.exposePortToRuntime(await taken(), port))).toBeInstanceOf(PortInUseError);
    expect(await listeners(first, port)).toHaveLength(1);
    expect(Runtime.isPortExposureProcess(key)).toBe(true);
    expect(runtime.isRuntimeTaskProcess(key)).toBe(false);
    await runtime.stopProcess(key);
    expect(await runtime.exposePortToRuntime(local, port)).not.toBe(key);
  });

  it("a service that listens on ::1 only is reached, by sshd and by the agent", async () => {
    const [ssh, local] = [open("host-1"), open("localhost")];
    const [port, mine, exposed, relayed] = [await anyPort(), await anyPort(), await anyPort(), await anyPort()];
    const serve = (at: number): RuntimeTaskType =>
      new RuntimeTask().runCommand(`exec python3 -m http.server --bind ::1 ${String(at)}`);
    ssh.executeTask(serve(port)).catch(() => undefined);
    local.executeTask(serve(mine)).catch(() => undefined);
    await ssh.exposePortFromRuntime(port, exposed);
    await local.exposePortFromRuntime(mine, relayed);
    for (const at of [exposed, relayed])
      await eventually(async () => (await fetch(`http://127.0.0.1:${String(at)}/`)).ok, 10_000);
  });

  it("bad arguments are refused at once", async () => {
    const runtime = open("host-1");
    for (const port of [0, 65536, 1.5, NaN, "80" as unknown as number]) {
      expect(await rejection(runtime.exposePortToRuntime(port))).toBeInstanceOf(InvalidArgumentError);
      expect(await rejection(runtime.exposePortFromRuntime(80, port))).toBeInstanceOf(InvalidArgumentError);
      expect(await rejection(runtime.hasFreePort(port))).toBeInstanceOf(InvalidArgumentError);
      expect(await rejection(runtime.getFreePort([port]))).toBeInstanceOf(InvalidArgumentError);
    }
    const unknown = { anyuser: true } as object;
    expect(await rejection(runtime.exposePortToRuntime(80, 80, unknown))).toBeInstanceOf(InvalidArgumentError);
  });
});

describe("runtimes that share their ports", () => {
  it("a host by two names: exposed once; what stays goes on when the first one goes", async () => {
    const [one, twin] = [open("host-1"), open("twin-1")];
    const port = await anyPort();
    services.push(await here.serve(port, space.path("sent")));
    await one.exposePortToRuntime(port);
    await twin.exposePortToRuntime(port);
    expect(await listeners(first, port)).toHaveLength(1);
    const strict = twin.exposePortToRuntime(port, port, { anyUser: false });
    expect(await rejection(strict), "sshd does not check").toBeInstanceOf(PortInUseError);
    expect(await ok(there(first, twin), port)).toBe(true);
    await one.close();
    await eventually(async () => (await listeners(first, port)).length === 1, 5000);
    expect(await ok(there(first, twin), port)).toBe(true);
    expect(twin.aliveProcessCount).toBe(1);
    await twin.close();
    expect(await listeners(first, port)).toEqual([]);
  });

  it("a group with localhost, a host and its twin: a list's choice knows what is reachable already", async () => {
    const all = group("localhost", "host-1", "twin-1", "host-2");
    const port = await anyPort();
    services.push(await here.serve(port, space.path("sent")));
    expect(await all.exposePortToRuntimes(port, [port, await anyPort()])).toBe(port);
    for (const host of [first, second]) {
      expect(await listeners(host, port)).toHaveLength(1);
      expect(await ok(there(host, all.getRuntime(host.alias)), port)).toBe(true);
    }
    // Once more: it is the same.
    expect(await all.exposePortToRuntimes(port, [port, await anyPort()])).toBe(port);
    await all.close();
    for (const host of [first, second]) expect(await listeners(host, port)).toEqual([]);
    expect(await ok(here, port)).toBe(true);
  });
});

describe("a group", () => {
  it("exposes a port of the manager to all hosts but the excluded ones: to all, or to none", async () => {
    const both = group("host-1", "host-2");
    const [service, other, third] = [await anyPort(), await anyPort(), await anyPort()];
    services.push(await here.serve(service, space.path("sent")));
    await serveThere(second, other);
    const error = await rejection(both.exposePortToRuntimes(service, other));
    expect(error).toBeInstanceOf(PortInUseError);
    expect(error).toMatchObject({ host: "host-2", port: other });
    expect(await listeners(first, other)).toEqual([]);
    await serveThere(first, other);
    const onBoth = await rejection(both.exposePortToRuntimes(service, other));
    expect(onBoth).toBeInstanceOf(PortInUseError);
    expect((onBoth as Error).message).toMatch(/^2 of 2 hosts failed:\n {2}host-1: .*\n {2}host-2: /);
    expect((onBoth as Error).stack).toContain("host-2: ");
    await services.pop()?.stop();
    expect(await rejection(both.exposePortToRuntimes(service, [other]))).toBeInstanceOf(NoPortsLeftError);
    expect(await rejection(both.exposePortToRuntimes(service, []))).toBeInstanceOf(NoPortsLeftError);
    expect(await both.exposePortToRuntimes(service, other, "host-2")).toBe(other);
    expect(await ok(there(first, both.getRuntime("host-1")), other)).toBe(true);
    expect(await both.exposePortToRuntimes(service, [other, third])).toBe(third);
    expect(await ok(there(second, both.getRuntime("host-2")), third)).toBe(true);
    expect(both.getRuntime("host-1").aliveProcessCount).toBe(2);
  });

  it("runs the reference's example: what leads there already stays, and nothing leads round in a circle", async () => {
    const names = ["host-1", "host-2"];
    const [first_, second_, third] = [await anyPort(), await anyPort(), await anyPort()];
    services.push(await here.serve(first_, space.path("sent")));
    const runtime = open("host-1");
    const key = await runtime.exposePortFromRuntime(third);
    await runtime.exposePortToRuntime(second_);
    await runtime.stopProcess(key);
    const all = group(...names);
    expect(await all.exposePortToRuntimes(first_)).toBe(first_);
    expect(await all.exposePortToRuntimes(first_, undefined, "host-2")).toBe(first_);
    for (const host of [first, second]) expect(await ok(there(host, runtime), first_)).toBe(true);
    // The port of host-1 leads here: nobody may lead it back.
    expect(await all.exposePortFromRuntimeToGroup("host-1", second_, [second_, third])).toBe(third);
    expect(await rejection(all.exposePortFromRuntimeToGroup("host-1", second_))).toBeInstanceOf(PortInUseError);
    expect((await here.run("once", third)).stderr).toMatch(/Error/);
    services.push(await here.serve(second_, space.path("sent")));
    expect(await ok(here, third)).toBe(true);
    expect(await ok(there(second, runtime), third)).toBe(true);
  });

  it("exposes a port of one host to the manager and all others", async () => {
    const both = group("host-1", "host-2");
    const [service, busy, port] = [await anyPort(), await taken(), await anyPort()];
    await serveThere(first, service);
    expect(await both.exposePortFromRuntimeToGroup("host-1", service, [busy, port])).toBe(port);
    expect(await ok(here, port)).toBe(true);
    expect(await ok(there(second, both.getRuntime("host-2")), port)).toBe(true);
    expect(await listeners(first, port)).toEqual([]);
    expect(await rejection(both.exposePortFromRuntimeToGroup("host-1", service, busy))).toBeInstanceOf(PortInUseError);
    expect(await rejection(both.exposePortFromRuntimeToGroup("host-3", service))).toBeInstanceOf(InvalidArgumentError);
    // Without the host that has the service there is nothing to lead to.
    await both.getRuntime("host-1").cleanup();
    expect(await listeners(second, port)).toEqual([]);
    expect((await here.run("once", port)).stderr).toContain("ConnectionRefusedError");
    expect(both.getRuntime("host-2").aliveProcessCount).toBe(0);
  });

  it("chooses a port that is free everywhere", async () => {
    const both = group("host-1", "host-2");
    const [local, remote, free] = [await taken(), await anyPort(), await anyPort()];
    await serveThere(second, remote);
    expect(await both.getFreePort([remote, local, free])).toBe(local);
    expect(await both.getFreePort([remote, local, free], true)).toBe(free);
    expect(await both.hasFreePort(remote)).toBe(false);
    expect(await both.hasFreePort(remote, ["host-2"])).toBe(true);
    const nowhere = await rejection(both.getFreePort([remote]));
    expect(nowhere).toBeInstanceOf(NoPortsLeftError);
    expect((nowhere as Error).message).toContain("host-1, host-2");
    const atOnce = Array.from({ length: 40 }, () => both.getFreePort([free], true));
    expect(new Set(await Promise.all(atOnce))).toEqual(new Set([free]));
  });
});

it("two managers never touch each other's ports", async () => {
  const [port, other] = [await anyPort(), await anyPort()];
  services.push(await here.serve(port, space.path("sent")));
  const script = startManager(
    `
    const runtime = new Runtime("host-1");
    await runtime.exposePortToRuntime(input.port);
    say("exposed");
    await heard();
    const failure = await runtime.exposePortToRuntime(input.port, input.other).catch((error) => error);
    say("failure", failure.code);
    await heard();
    await runtime.close();
    say("closed");
    `,
    { env: space.env, input: { port, other } },
  );
  scripts.push(script);
  await script.hear("exposed");
  const runtime = open("host-1");
  expect(await rejection(runtime.exposePortToRuntime(port))).toBeInstanceOf(PortInUseError);
  await runtime.exposePortToRuntime(port, other);
  script.tell("go");
  expect(await script.hear("failure")).toBe("ERR_PORT_IN_USE");
  expect(await ok(there(first, runtime), port)).toBe(true);
  script.tell("go");
  await script.hear("closed");
  expect(await listeners(first, port)).toEqual([]);
  expect(await ok(there(first, runtime), other)).toBe(true);
  await script.exited;
});

describe("other users of the machine", needsRoot(), () => {
  it("are refused where we accept; `anyUser: true` lets them in; sshd's own listener cannot ask", async () => {
    const runtime = open("host-1");
    const asNobody = async (machine: typeof here, port: number): Promise<string> => {
      const { stdout, stderr } = await machine.run("once", port, "", "nobody");
      return stdout.trim() || stderr;
    };
    const service = await anyPort();
    await serveThere(first, service);
    const [checked, all] = [await anyPort(), await anyPort()];
    await runtime.exposePortFromRuntime(service, checked);
    await runtime.exposePortFromRuntime(service, all, { anyUser: true });
    expect(await asNobody(here, checked)).toContain("ConnectionResetError");
    expect(await ok(here, checked)).toBe(true);
    expect(await asNobody(here, all)).toBe("ok");

    services.push(await here.serve(service, space.path("sent")));
    const [strict, open_] = [await anyPort(), await anyPort()];
    await runtime.exposePortToRuntime(service, strict, { anyUser: false });
    await runtime.exposePortToRuntime(service, open_);
    const host = there(first, runtime);
    expect(await asNobody(host, strict)).toContain("ConnectionResetError");
    expect(await ok(host, strict)).toBe(true);
    expect(await asNobody(host, open_)).toBe("ok");
  });

  it("are refused also where this machine has no Python to look them up", async () => {
    const bin = space.path("bin");
    mkdirSync(bin);
    for (const program of ["ssh", "ssh-keygen", "sh"]) symlinkSync(`/usr/bin/${program}`, join(bin, program));
    const [service, port] = [await anyPort(), await anyPort()];
    await serveThere(first, service);
    const script = startManager(
      `
      await new Runtime("host-1").exposePortFromRuntime(input.service, input.port);
      say("exposed", await new Runtime("localhost").isValidRuntime());
      await heard();
      `,
      { env: { ...space.env, PATH: bin }, input: { service, port } },
    );
    scripts.push(script);
    expect(await script.hear("exposed")).toBe(false);
    expect(await ok(here, port)).toBe(true);
    expect((await here.run("once", port, "", "nobody")).stderr).toContain("ConnectionResetError");
  });

  it("an sshd that would listen for the whole network (GatewayPorts) does not: the agent listens", async () => {
    const wide = await startHosts({ sshdConfig: ["GatewayPorts yes"] });
    try {
      process.env["LAZYCLUSTER_SSH_CONFIG"] = wide.configFile;
      const runtime = new Runtime("host-1");
      const port = await anyPort();
      await runtime.exposePortToRuntime(port);
      expect(await listeners(wide.hosts[0]!, port)).toEqual(["0100007F"]);
      await runtime.close();
    } finally {
      process.env["LAZYCLUSTER_SSH_CONFIG"] = hosts.configFile;
      await wide.stop();
    }
  });
});
