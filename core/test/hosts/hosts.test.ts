import { existsSync, readdirSync } from "node:fs";
import { once } from "node:events";
import { spawn } from "node:child_process";
import { createServer, connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { canIsolate, PYTHONS, run, startDelayProxy, startHosts, type TestHosts } from ".";

describe.skipIf(!canIsolate())("isolated hosts", () => {
  let lab: TestHosts;
  beforeAll(async () => {
    lab = await startHosts({ count: 2, user: "ordinary", pythons: true, shell: { script: '#!/bin/sh\necho "Welcome!"\nexec /bin/sh "$@"\n' } });
  });
  afterAll(() => lab.stop());
  const ssh = (alias: string, command: string) => run("ssh", ["-F", lab.configFile, alias, command]);

  test("ssh itself logs in, through the user's shell, to a host of its own", async () => {
    const { stdout, code } = await ssh("host-2", "hostname; id -un; pwd; ls -A /tmp; echo $PATH; touch kept");
    expect(code).toBe(0);
    expect(stdout).toBe("Welcome!\nhost-2\nlctest\n/home/lctest\n/usr/local/bin:/usr/bin:/bin\n");
    expect(existsSync(join(lab.hosts[1]!.dir, "home", "kept"))).toBe(true);
  });

  test("the pyenv interpreters work for the ordinary user", async () => {
    expect((await ssh("host-1", `ls ${PYTHONS}; ${PYTHONS}/3.8.18/bin/python3 -V`)).stdout).toMatch(/Python 3\.8\.18/);
  });

  test("processes() lists what runs on this host only", async () => {
    const [one, two] = lab.hosts;
    expect(await one!.processes()).toEqual([]);
    await ssh("host-1", "sleep 77 >/dev/null 2>&1 </dev/null &");
    expect((await one!.processes()).map(({ args }) => args)).toEqual(["sleep 77"]);
    expect(await two!.processes()).toEqual([]);
    await one!.exec(["pkill", "sleep"]);
    await vi.waitFor(async () => expect(await one!.processes()).toEqual([]));
  });

  test("a full, and a read-only, file system", async () => {
    const [host] = lab.hosts;
    await host!.mountTmpfs("/tmp/small", 64);
    expect((await host!.exec(["sh", "-c", "head -c 200000 /dev/zero > /tmp/small/x"])).stderr).toMatch(/No space left/);
    await host!.mountTmpfs("/tmp/ro", 64, { readonly: true });
    expect((await host!.exec(["touch", "/tmp/ro/x"])).stderr).toMatch(/Read-only/);
  });

  test("hosts reach each other", async () => {
    const [one, two] = lab.hosts;
    const { code } = await one!.exec(["bash", "-c", `exec 3<>/dev/tcp/${two!.address}/22`]);
    expect(code).toBe(0);
  });
});

test.skipIf(!canIsolate())("nothing is left of a test process that was killed", async () => {
  const links = (): string[] => readdirSync("/sys/class/net");
  const script = `require("vitest"); `;
  expect(script).toBeTruthy();
  const lab = await startHosts({ count: 1 });
  const bridge = links().find((name) => existsSync(`/sys/class/net/${name}/brif`) && name.startsWith("lct"));
  expect(bridge).toBeDefined();
  await lab.stop();
  expect(existsSync(lab.dir)).toBe(false);
  expect(links().filter((name) => name.startsWith(`${bridge!}-`))).toEqual([]);
});

test("the delay proxy keeps bytes back, in order", async () => {
  const echo = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
  await once(echo, "listening");
  const { port } = echo.address() as { port: number };
  const proxy = await startDelayProxy({ target: { address: "127.0.0.1", port }, rttMs: 60 });
  const socket = connect({ host: proxy.address, port: proxy.port, noDelay: true });
  await once(socket, "connect");
  const started = performance.now();
  let said = "";
  socket.setEncoding("utf8").on("data", (text: string) => (said += text));
  for (const word of ["a", "b", "c"]) socket.write(word);
  await vi.waitFor(() => expect(said).toBe("abc"), { interval: 2 });
  expect(performance.now() - started).toBeGreaterThanOrEqual(58);
  socket.destroy();
  await proxy.stop();
  echo.close();
});

test("run() reports what a program says", async () => {
  expect(spawn).toBeTypeOf("function");
  expect(await run("sh", ["-c", "cat; echo e >&2; exit 3"], "in")).toEqual({ code: 3, stdout: "in", stderr: "e\n" });
});
