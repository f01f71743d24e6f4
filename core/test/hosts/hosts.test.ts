import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { once } from "node:events";
import { spawn } from "node:child_process";
import { createServer, connect } from "node:net";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { networkLinks } from "./claim";
import { PYTHONS, run, startDelayProxy, startHosts, type TestHosts, needsIsolation, unless } from ".";

describe("isolated hosts", needsIsolation(), () => {
  let lab: TestHosts;
  beforeAll(async () => {
    lab = await startHosts({
      count: 2,
      user: "ordinary",
      pythons: true,
      shell: { script: '#!/bin/sh\necho "Welcome!"\nexec /bin/sh "$@"\n' },
    });
  });
  afterAll(() => lab.stop());
  const ssh = (alias: string, command: string) => run("ssh", ["-F", lab.configFile, alias, command]);

  test("ssh itself logs in, through the user's shell, to a host of its own", async () => {
    const { stdout, code } = await ssh(
      "host-2",
      "hostname; id -un; pwd; ls -A /tmp/lazycluster* 2>/dev/null; echo $PATH; touch kept",
    );
    expect(code).toBe(0);
    expect(stdout).toBe("Welcome!\nhost-2\nlctest\n/home/lctest\n/usr/local/bin:/usr/bin:/bin\n");
    expect(existsSync(join(lab.hosts[1]!.dir, "home", "kept"))).toBe(true);
  });

  const pyenv = existsSync(join(homedir(), ".pyenv", "versions", "3.8.18"));
  test(
    "the pyenv interpreters work for the ordinary user",
    unless(!pyenv && "no Python 3.8.18 of pyenv here"),
    async () => {
      expect((await ssh("host-1", `ls ${PYTHONS}; ${PYTHONS}/3.8.18/bin/python3 -V`)).stdout).toMatch(
        /Python 3\.8\.18/,
      );
    },
  );

  test("processes() lists what runs on this host only", async () => {
    const [one, two] = lab.hosts;
    // What served the sessions of before ends a moment after them.
    await vi.waitFor(async () => expect(await one!.processes()).toEqual([]));
    await ssh("host-1", "sleep 77 >/dev/null 2>&1 </dev/null &");
    await vi.waitFor(async () => expect((await one!.processes()).map(({ args }) => args)).toEqual(["sleep 77"]));
    await vi.waitFor(async () => expect(await two!.processes()).toEqual([]));
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

describe("what is left", needsIsolation(), () => {
  const links = (range: string): string[] => networkLinks().filter((name) => name.startsWith(`lct${range}`));
  const rangeOf = (address: string): string => address.split(".")[2]!;

  test("of hosts that were stopped: nothing", async () => {
    const lab = await startHosts({ count: 2 });
    const range = rangeOf(lab.hosts[0]!.address);
    expect(links(range)).not.toEqual([]);
    const pid = lab.hosts[0]!.sshdPid;
    await lab.stop();
    expect([existsSync(lab.dir), links(range), existsSync(`/proc/${pid}`)]).toEqual([false, [], false]);
  });

  test("of a test process that was killed: hosts end at once, the next start removes the rest", async () => {
    const code = mkdtempSync(join(tmpdir(), "lazycluster-killed-"));
    compileHarness(code);
    const script =
      'require("./start-hosts.js").startHosts().then((lab) => console.log(JSON.stringify({ dir: lab.dir, address: lab.hosts[0].address, pid: lab.hosts[0].sshdPid })))';
    const child = spawn(process.execPath, ["-e", script], { cwd: code, stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const { dir, address, pid } = JSON.parse(String(line)) as { dir: string; address: string; pid: number };
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    await vi.waitFor(() => expect(existsSync(`/proc/${pid}`)).toBe(false), { timeout: 2_000 });
    const lab = await startHosts();
    expect([existsSync(dir), links(rangeOf(address))]).toEqual([false, []]);
    await lab.stop();
    rmSync(code, { recursive: true });
  });
});

/** For a process without vitest. */
function compileHarness(target: string): void {
  for (const name of readdirSync(__dirname)) {
    const source = readFileSync(join(__dirname, name), "utf8");
    if (name.endsWith(".sh")) writeFileSync(join(target, name), source);
    if (!name.endsWith(".ts") || name.endsWith(".test.ts")) continue;
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
    });
    writeFileSync(join(target, name.replace(/ts$/, "js")), outputText);
  }
}

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
  expect(await run("sh", ["-c", "cat; echo e >&2; exit 3"], "in")).toEqual({ code: 3, stdout: "in", stderr: "e\n" });
});
