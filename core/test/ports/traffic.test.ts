/** What goes through an exposed port, by every way that there is. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts } from "../hosts";
import { Runtime, type RuntimeType, type Workspace, eventually, workspace } from "../support";
import { type Machine, type Service, anyPort, here, holdHere, there } from "./services";

let open: TestHosts;
let forbidding: TestHosts;
let space: Workspace;

beforeAll(async () => {
  open = await startHosts();
  forbidding = await startHosts({ sshdConfig: ["AllowTcpForwarding no"], user: "ordinary" });
  space = workspace(open.configFile);
});
afterAll(async () => {
  await open.stop();
  await forbidding.stop();
  space.remove();
});

const WAYS: readonly { name: string; hosts: () => TestHosts; to: boolean; anyUser?: boolean; transport?: "openssh" }[] =
  [
    { name: "to the host, by sshd", hosts: () => open, to: true },
    { name: "to the host, checked by the agent", hosts: () => open, to: true, anyUser: false },
    { name: "from the host, by sshd", hosts: () => open, to: false },
    { name: "from the host, for any user", hosts: () => open, to: false, anyUser: true },
    { name: "to the host, AllowTcpForwarding no", hosts: () => forbidding, to: true },
    { name: "from the host, AllowTcpForwarding no", hosts: () => forbidding, to: false },
    { name: "to the host, over openssh", hosts: () => open, to: true, transport: "openssh" },
    { name: "from the host, over openssh", hosts: () => open, to: false, transport: "openssh" },
  ];

describe.each(WAYS)("an exposed port, $name", ({ hosts, to, anyUser, transport }) => {
  let host: TestHost;
  let runtime: RuntimeType;
  /** Where the service is, and where its clients are. */
  let service: Machine;
  let client: Machine;
  let running: Service | null = null;
  let port: number;
  let file: string;
  let key: string;

  beforeAll(() => {
    process.env["LAZYCLUSTER_SSH_CONFIG"] = hosts().configFile;
    host = hosts().hosts[0]!;
    runtime = new Runtime("host-1", transport === undefined ? {} : { transport });
    const remote = there(host, runtime);
    [service, client] = to ? [here, remote] : [remote, here];
  });
  beforeEach(async () => {
    port = await anyPort();
    file = to ? space.path("sent") : `/tmp/sent-${String(port)}`;
    const options = anyUser === undefined ? {} : { anyUser };
    key = await (to
      ? runtime.exposePortToRuntime(port, port, options)
      : runtime.exposePortFromRuntime(port, port, options));
    running = await service.serve(port, file);
    return async () => {
      await runtime.stopProcess(key);
      await running?.stop();
    };
  });
  afterAll(() => runtime.close());

  const ask = async (...args: Parameters<Machine["run"]>): Promise<string> => {
    const { stdout, stderr } = await client.run(...args);
    return stdout.trim() + stderr;
  };

  it("carries both directions at once, and an answer after the end of the question", async () => {
    expect(await ask("echo", port)).toBe("ok");
    expect(await ask("half", port)).toBe("ok");
  });

  it("carries 2000 short connections, 20 at a time", async () => {
    expect(await ask("many", port, "2000")).toBe("ok");
  });

  it("holds back who writes to one that does not read; other things pass meanwhile", async () => {
    const stuck = ask("stuck", port);
    expect(await runtime.echo("passes")).toBe("passes");
    expect(await ask("once", port)).toBe("ok");
    // The kernels' buffers and the windows of ssh, and no more.
    expect(Number(await stuck)).toBeLessThan(48 * 1024 ** 2);
    expect(await ask("once", port)).toBe("ok");
  });

  it("connections to a service that is not up fail one by one, and work when it is", async () => {
    await running?.stop();
    for (let time = 0; time < 3; time++) expect(await ask("once", port)).toMatch(/Error/);
    running = await service.serve(port, file);
    expect(await ask("once", port)).toBe("ok");
    expect(runtime.getProcess(key)).toMatchObject({ kind: "portExposure", state: "running", alive: true, pid: null });
  });

  it("nothing listens any more after stopProcess", async () => {
    expect(await ask("once", port)).toBe("ok");
    await runtime.stopProcess(key);
    expect(runtime.getProcess(key)).toMatchObject({ state: "done", alive: false });
    expect(await ask("once", port)).toContain("ConnectionRefusedError");
  });

  if (to) return;

  it("holds back a flood that nobody reads", async () => {
    const holding = await holdHere("hold", port);
    const sent = async (): Promise<number> => Number((await host.exec(["cat", file])).stdout);
    const flooded = await standsStill(sent);
    expect(flooded).toBeLessThan(48 * 1024 ** 2);
    holding.stdin!.write("\n");
    await eventually(async () => (await sent()) > 64 * 1024 ** 2, 20_000, "it goes on");
    holding.kill("SIGKILL");
  });
});

it("localhost: another port is exposed both ways; the same port is reachable already", async () => {
  const runtime = new Runtime("localhost");
  const [service, first, second] = [await anyPort(), await anyPort(), await anyPort()];
  const running = await here.serve(service, space.path("sent"));
  try {
    const same = await runtime.exposePortToRuntime(service);
    await runtime.exposePortFromRuntime(service);
    await runtime.exposePortToRuntime(service, first);
    await runtime.exposePortFromRuntime(service, second);
    for (const port of [service, first, second]) {
      for (const mode of ["echo", "half", "once"] as const)
        expect((await here.run(mode, port)).stdout.trim(), `${mode} on ${port}`).toBe("ok");
    }
    expect(runtime.getProcess(same).alive).toBe(true);
    await runtime.stopProcess(same);
    expect((await here.run("once", service)).stdout.trim()).toBe("ok");
  } finally {
    await runtime.close();
    await running.stop();
  }
});

/** What a growing number has become when it does not grow for half a second. */
async function standsStill(look: () => Promise<number>): Promise<number> {
  let [seen, since] = [0, Date.now()];
  return eventually(
    async () => {
      const now = await look();
      if (now !== seen) [seen, since] = [now, Date.now()];
      if (seen === 0 || Date.now() - since < 500) throw new Error(`it grew to ${String(now)}`);
      return seen;
    },
    20_000,
    "it stands still",
  );
}
