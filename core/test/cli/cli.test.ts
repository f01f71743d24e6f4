/** The command line as a user calls it: a process of its own, real hosts, real signals. */
import { type ChildProcess, spawn } from "child_process";
import { mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type TestHosts, startHosts } from "../hosts";
import { anyPort } from "../ports/services";
import { startManager } from "../support";

const PROGRAM = join(__dirname, "..", "..", "bin", "lazycluster.js");

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let hosts: TestHosts;
let state: string;
/** What runs beyond the test that started it has failed with that. */
const started: { kill(signal: "SIGKILL"): unknown }[] = [];

function start(args: readonly string[]): { child: ChildProcess; ended: Promise<Ended>; stdout: () => string } {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: {
      ...process.env,
      LAZYCLUSTER_SSH_CONFIG: hosts.configFile,
      LAZYCLUSTER_STATE_DIR: state,
      LAZYCLUSTER_MAIN_DIRECTORY: "",
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
  started.push(child);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
  return { child, ended, stdout: () => stdout };
}

function lazycluster(...args: string[]): Promise<Ended> {
  const { child, ended } = start(args);
  child.stdin?.end();
  return ended;
}

/** Waits until the program has printed the text. */
async function printed(program: ReturnType<typeof start>, text: string): Promise<void> {
  while (!program.stdout().includes(text)) {
    const more = new Promise((resolve) => program.child.stdout?.once("data", resolve));
    const over = program.ended.then(({ stderr }) => {
      throw new Error(`it ended without printing ${text}: ${stderr}`);
    });
    over.catch(() => undefined);
    await Promise.race([more, over]);
  }
}

afterEach(() => {
  for (const process of started.splice(0)) process.kill("SIGKILL");
});
beforeAll(async () => {
  hosts = await startHosts({ count: 2 });
  state = mkdtempSync(join(tmpdir(), "lc-cli-"));
});
afterAll(async () => {
  await hosts.stop();
  rmSync(state, { recursive: true, force: true });
});

describe("lazycluster", () => {
  it("tells its version and its commands", async () => {
    expect((await lazycluster("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const help = await lazycluster("--help");
    expect(help.code).toBe(0);
    for (const command of ["list-runtimes", "run", "ps", "logs", "cancel", "demo"]) {
      expect(help.stdout).toContain(command);
      expect((await lazycluster(command, "--help")).code).toBe(0);
    }
  });

  it("explains a wrong call and exits with 2", async () => {
    for (const args of [
      ["fly"],
      ["run"],
      ["run", "host-1"],
      ["demo", "sideways"],
      ["ps", "--wrong"],
      ["run", "-oProxyCommand=x", "--", "true"],
      ...["abc", "0", "-1", "", "Infinity"].flatMap((seconds) => [
        ["run", `--timeout=${seconds}`, "host-1", "--", "true"],
        ["run", `--timeout=${seconds}`, "--group", "host-1", "--", "true"],
      ]),
    ]) {
      const { code, stderr } = await lazycluster(...args);
      expect(code, args.join(" ")).toBe(2);
      expect(stderr).not.toBe("");
      if (args[1]?.startsWith("--timeout")) expect(stderr).toMatch(/^lazycluster: --timeout takes a positive number/);
    }
  });
});

describe("list-runtimes", () => {
  it("shows the hosts of the ssh config, and why one is inactive", async () => {
    const config = join(state, "config");
    writeFileSync(config, `Include ${hosts.configFile}\nHost down\n  HostName 127.0.0.1\n  Port 1\n`);
    const list = (...args: string[]): Promise<Ended> => lazycluster("--ssh-config", config, "list-runtimes", ...args);
    const { code, stdout } = await list();
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^Active runtimes: 2 of 3\n {2}host-1\n {2}host-2\nInactive runtimes:\n {2}down: .*refused.*\n$/,
    );
    const probes = JSON.parse((await list("--json")).stdout) as Record<string, unknown>[];
    const version = expect.stringMatching(/^3\.\d+/) as string;
    expect(probes).toEqual([
      { host: "host-1", active: true, pythonVersion: version, reason: null },
      { host: "host-2", active: true, pythonVersion: version, reason: null },
      { host: "down", active: false, reason: expect.stringContaining("refused") as string },
    ]);
  });

  it("-l adds CPU, memory, GPUs, OS and Python", async () => {
    const { stdout } = await lazycluster("list-runtimes", "-l");
    expect(stdout).toMatch(
      /^Active runtimes: 2 of 2\nHOST +CPU +MEMORY +GPU +OS +PYTHON\nhost-1 +[\d.]+ +[\d.]+ [MGT]B .* 3\.\d+\.\d+\nhost-2 /,
    );
    const [first] = JSON.parse((await lazycluster("list-runtimes", "-l", "--json")).stdout) as object[];
    const number = expect.any(Number) as number;
    expect(first).toMatchObject({
      host: "host-1",
      cpuCores: number,
      memory: number,
      gpus: [],
      loadAverage: [number, number, number],
    });
  });

  it("lists them also when none is usable; says what to do where there are none", async () => {
    const config = join(state, "config-down");
    writeFileSync(config, "Host down\n  HostName 127.0.0.1\n  Port 1\n");
    const { code, stdout } = await lazycluster("--ssh-config", config, "list-runtimes");
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^Active runtimes: 0 of 1\nInactive runtimes:\n {2}down: /) as string,
    });
    const none = await lazycluster("--ssh-config", join(state, "missing"), "list-runtimes");
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining("does not exist") as string });
  });
});

describe("run", () => {
  it("passes output, errors and exit code on", async () => {
    const { code, stdout, stderr } = await lazycluster("run", "host-1", "--", "echo out; echo err >&2; exit 7");
    expect({ code, stdout, stderr }).toEqual({ code: 7, stdout: "out\n", stderr: "err\n" });
  });

  it("takes stdin, a working directory, and gives JSON", async () => {
    const program = start(["run", "--stdin", "-w", "~/some dir", "--json", "host-1", "--", "cat; pwd"]);
    program.child.stdin?.end("from here\n");
    const { code, stdout } = await program.ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ host: "host-1", state: "done", exitCode: 0, stderr: "" });
    expect((JSON.parse(stdout) as { stdout: string }).stdout).toMatch(/^from here\n\/.*\/some dir\n$/);
  });

  it("ends a command that takes too long", async () => {
    const { code, stderr } = await lazycluster("run", "--timeout", "0.3", "host-1", "--", "sleep 60");
    expect(code).toBe(1);
    expect(stderr).toContain("did not end within 300 ms");
  });

  it("says in one line why a host is of no use, and exits with 255", async () => {
    const { code, stderr } = await lazycluster("run", "nowhere.invalid", "--", "true");
    expect(code).toBe(255);
    expect(stderr).toMatch(/^lazycluster: nowhere\.invalid: .*\n$/);
  });

  it("ends the command on the host at Ctrl-C, and exits with 130", async () => {
    const program = start(["run", "host-1", "--", "echo started; sleep 300"]);
    await printed(program, "started");
    program.child.kill("SIGINT");
    expect((await program.ended).code).toBe(130);
    const left = await hosts.hosts[0]!.processes();
    expect(left.filter(({ args }) => args.includes("sleep 300"))).toEqual([]);
  });
});

describe("ps, logs and cancel", { timeout: 120_000 }, () => {
  it("see and end what another process runs", async () => {
    const program = start(["run", "host-2", "--", "echo first; echo second >&2; sleep 300"]);
    await printed(program, "first");
    const listed = JSON.parse((await lazycluster("ps", "--json")).stdout) as {
      id: string;
      host: string;
      state: string;
    }[];
    expect(listed).toHaveLength(1);
    expect(listed[0]).toMatchObject({ host: "host-2", state: "running" });
    const id = listed[0]!.id.slice(0, 8);
    expect((await lazycluster("ps")).stdout).toContain(id);
    const following = start(["logs", "-f", "--stream", "stdout", id]);
    await printed(following, "first");
    const cancelled = await lazycluster("cancel", id);
    expect(cancelled).toMatchObject({ code: 0, stderr: "" });
    expect((await program.ended).code).toBe(130);
    expect(await following.ended).toMatchObject({ code: 0, stdout: "first\n" });
    expect((await lazycluster("logs", id)).stdout).toBe("first\nsecond\n");
    expect((await lazycluster("ps")).stdout).toContain("No task runs");
    expect((await lazycluster("ps", "--all")).stdout).toMatch(new RegExp(`${id} +cancelled +host-2`));
    expect((await lazycluster("cancel", id)).code).toBe(1);
  });

  it("do so with port exposures, too: what listens where, which process holds it, and an end by key, id or port", async () => {
    interface Listed {
      readonly kind: string;
      readonly id: string;
      readonly key: string;
    }
    const [port, other, last] = [await anyPort(), await anyPort(), await anyPort()];
    const ps = async (...more: string[]): Promise<Listed[]> =>
      JSON.parse((await lazycluster("ps", "--json", ...more)).stdout) as Listed[];
    const program = start(["forward", "host-2", "7", String(port)]);
    const script = startManager(
      `
      const runtime = new Runtime("host-1");
      const keys = [await runtime.exposePortToRuntime(9, input.other), await runtime.exposePortFromRuntime(input.last)];
      say("keys", keys);
      await runtime.getProcess(keys[0]).join();
      say("state", runtime.getProcess(keys[0]).state);
      await heard();
      `,
      {
        env: { LAZYCLUSTER_SSH_CONFIG: hosts.configFile, LAZYCLUSTER_STATE_DIR: state, LAZYCLUSTER_MAIN_DIRECTORY: "" },
        input: { other, last },
      },
    );
    started.push(script);
    const [to, from] = (await script.hear<string[]>("keys")) as [string, string];
    await printed(program, "leads to");
    const listed = await ps();
    const forwarded = listed.find(({ key }) => key !== to && key !== from)!;
    const common = { kind: "portExposure", state: "running", interrupted: null, failure: null, durationMs: null };
    expect(listed).toHaveLength(3);
    expect(forwarded).toMatchObject({
      ...{ ...common, host: "host-2", at: null, port, to: "host-2", targetPort: 7, anyUser: null },
      ...{ way: { listener: "manager", dialer: "sshd" }, process: program.child.pid, program: "lazycluster.js" },
    });
    expect(listed.find(({ key }) => key === to)).toMatchObject({
      ...{ ...common, host: "host-1", at: "host-1", port: other, to: null, targetPort: 9, process: script.pid },
      way: { listener: "sshd", dialer: "manager" },
    });
    const table = (await lazycluster("ps")).stdout;
    expect(table).toMatch(new RegExp(`running +host-2 +localhost:${port} → host-2:7 by sshd .*lazycluster.js`));
    expect(table).toMatch(new RegExp(`running +host-1 +host-1:${other} → localhost:9 by sshd `));

    expect(await lazycluster("cancel", to)).toMatchObject({ code: 0, stderr: "" });
    expect(await script.hear("state")).toBe("done");
    expect((await lazycluster("cancel", to)).stderr).toContain(`on host-1:${other}`);
    expect((await ps()).map(({ key }) => key).sort()).toEqual([forwarded.key, from].sort());
    const byPort = await lazycluster("cancel", `localhost:${port}`, "--json");
    expect(JSON.parse(byPort.stdout)).toEqual({
      ...{ id: forwarded.id, key: forwarded.key, kind: "portExposure", cancelled: true },
    });
    const ended = await program.ended;
    expect(ended).toMatchObject({ code: 130, stderr: expect.stringContaining("another process") as string });
    expect((await lazycluster("logs", from)).stderr).toContain(`localhost:${last} is a port exposure`);

    // What a killed process held is gone with it.
    script.kill("SIGKILL");
    await script.exited;
    expect(await ps()).toEqual([]);
    const all = (await ps("--all")).filter(({ kind }) => kind === "portExposure");
    expect(all.find(({ key }) => key === from)).toMatchObject({ state: "lost" });
    expect(all.filter(({ key }) => key !== from)).toMatchObject([{ state: "done" }, { state: "done" }]);
    expect((await lazycluster("cancel", from)).code).toBe(1);
  });

  it("say so when there is no such task", async () => {
    const { code, stderr } = await lazycluster("logs", "no-such-task");
    expect(code).toBe(1);
    expect(stderr).toContain("lazycluster ps --all");
  });

  it("show what a killed process left as lost", async () => {
    const program = start(["run", "host-1", "--", "echo running; sleep 300"]);
    await printed(program, "running");
    program.child.kill("SIGKILL");
    await program.ended;
    expect((await lazycluster("ps")).stdout).toContain("No task runs");
    const all = JSON.parse((await lazycluster("ps", "--all", "--json")).stdout) as { state: string; id: string }[];
    expect(all.at(-1)?.state).toBe("lost");
    expect((await lazycluster("logs", "-f", all.at(-1)!.id)).stdout).toBe("running\n");
  });
});
