/** send, get, sync, forward and run --group as a user calls them. */
import { type ChildProcess, spawn } from "child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { type Server, createServer } from "http";
import type { AddressInfo } from "net";
import { tmpdir } from "os";
import { join } from "path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type TestHosts, startHosts } from "../hosts";

const PROGRAM = join(__dirname, "..", "..", "bin", "lazycluster.js");

interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  readonly stdout: () => string;
}

let hosts: TestHosts;
let folder: string;

function start(...args: string[]): Program {
  const env = {
    ...process.env,
    LAZYCLUSTER_SSH_CONFIG: hosts.configFile,
    LAZYCLUSTER_STATE_DIR: join(folder, "state"),
  };
  const child = spawn(process.execPath, [PROGRAM, ...args], { env, cwd: folder });
  let stdout = "";
  let stderr = "";
  child.stdin.end();
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.on("close", (code) => resolve({ code, stdout, stderr })),
  );
  return { child, ended, stdout: () => stdout };
}
const lazycluster = (...args: string[]): Program["ended"] => start(...args).ended;

beforeAll(async () => {
  hosts = await startHosts({ count: 2 });
  folder = mkdtempSync(join(tmpdir(), "lc-cli-transfer-"));
});
afterAll(async () => {
  await hosts.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe("lazycluster send, get and sync", () => {
  test("bring a file there and back, and say how much it was", async () => {
    writeFileSync(join(folder, "a file"), "content");
    const sent = await lazycluster("send", "--verify", "host-1", "a file", "there/b file");
    expect(sent).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^sent 7 B in /) as string });
    const got = await lazycluster("get", "--json", "host-1", "there/b file", "back");
    expect(JSON.parse(got.stdout)).toMatchObject({ host: "host-1", bytes: 7 });
    expect(readFileSync(join(folder, "back"), "utf8")).toBe("content");
  });

  test("sync a folder: only what changed travels, deletions where they are wished", async () => {
    mkdirSync(join(folder, "project"));
    writeFileSync(join(folder, "project", "one"), "1");
    writeFileSync(join(folder, "project", "two"), "2");
    expect((await lazycluster("sync", "host-1", "project")).stdout).toContain("2 new, 0 changed");
    rmSync(join(folder, "project", "two"));
    writeFileSync(join(folder, "project", "one"), "changed");
    expect((await lazycluster("sync", "--delete", "--dry-run", "host-1", "project")).stdout).toContain(
      "dry run: 0 new, 1 changed, 1 deleted",
    );
    expect((await lazycluster("sync", "--delete", "host-1", "project")).stdout).toContain(
      "0 new, 1 changed, 1 deleted",
    );
    expect((await lazycluster("run", "host-1", "--", "ls project; cat project/one")).stdout).toBe("one\nchanged");
    expect((await lazycluster("sync", "--down", "host-1", "copy", "project")).code).toBe(0);
    expect(readFileSync(join(folder, "copy", "one"), "utf8")).toBe("changed");
  });

  test("say what failed, with the exit code for it", async () => {
    expect(await lazycluster("send", "host-1", "no-such-file")).toMatchObject({ code: 2 });
    expect(await lazycluster("get", "host-1", "no-such-file")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no-such-file") as string,
    });
    expect(await lazycluster("get", "nowhere.invalid", "x")).toMatchObject({ code: 255 });
  });
});

describe("lazycluster run --group", () => {
  test("runs on all hosts at once; each line is under its host's name, the worst exit code counts", async () => {
    const { code, stdout } = await lazycluster(
      "run",
      "--group",
      "host-1,host-2",
      "--",
      "echo here; hostname >&2; exit 3",
    );
    expect(code).toBe(3);
    expect(stdout).toMatch(/^host-1 │ here$/m);
    expect(stdout).toMatch(/^host-2 │ here$/m);
    const all = JSON.parse((await lazycluster("run", "--group", "all", "--json", "--", "echo x")).stdout) as object[];
    expect(all).toMatchObject([
      { host: "host-1", exitCode: 0, stdout: "x\n" },
      { host: "host-2", exitCode: 0, stdout: "x\n" },
    ]);
  });

  test("its JSON has the fields of one host's", async () => {
    const fields = "host,state,exitCode,signal,durationMs,stdout,stderr,logFile,error".split(",");
    for (const [command, error] of [
      ["exit 3", null],
      ["sleep 60", expect.stringContaining("did not end within") as string],
    ] as const) {
      const words = ["--timeout", command === "exit 3" ? "20" : "0.3", "--json"];
      const alone = JSON.parse((await lazycluster("run", ...words, "host-1", "--", command)).stdout) as object;
      const group = await lazycluster("run", ...words, "--group", "host-1", "--", command);
      const [first] = JSON.parse(group.stdout) as object[];
      for (const record of [alone, first ?? {}]) {
        expect(Object.keys(record)).toEqual(fields);
        expect(record).toMatchObject({ host: "host-1", stdout: "", error, logFile: expect.any(String) as string });
      }
    }
  });

  test("is refused with what is for one host, and without a command", async () => {
    expect(await lazycluster("run", "--group", "all", "--pty", "--", "true")).toMatchObject({ code: 2 });
    expect(await lazycluster("run", "--group", "all")).toMatchObject({ code: 2 });
  });
});

describe("lazycluster forward", () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    server = createServer((_request, response) => response.end("from the manager"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => server.close());

  test("leads to a port of here from the host, and ends with Ctrl-C", async () => {
    const program = start("forward", "--to-host", "host-1", String(port), "47113");
    await vi.waitFor(() => expect(program.stdout()).toContain("127.0.0.1:47113 on host-1 leads to"), 15_000);
    const ask = `python3 -c 'import urllib.request as r; print(r.urlopen("http://127.0.0.1:47113/").read().decode())'`;
    expect((await lazycluster("run", "host-1", "--", ask)).stdout).toBe("from the manager\n");
    program.child.kill("SIGINT");
    expect((await program.ended).code).toBe(0);
    expect((await lazycluster("run", "host-1", "--", ask)).code).not.toBe(0);
  });

  test("leads to a port of the host from here", async () => {
    const serving = start(
      "run",
      "host-2",
      "--",
      "echo from the host > index.html; exec python3 -u -m http.server 47114 --bind 127.0.0.1",
    );
    await vi.waitFor(() => expect(serving.stdout()).toContain("Serving"), 15_000);
    const program = start("forward", "host-2", "47114", "47115");
    await vi.waitFor(
      () => expect(program.stdout()).toContain("127.0.0.1:47115 here leads to port 47114 on host-2"),
      15_000,
    );
    expect(await (await fetch("http://127.0.0.1:47115/")).text()).toBe("from the host\n");
    for (const { child } of [program, serving]) child.kill("SIGINT");
    await Promise.all([program.ended, serving.ended]);
  });

  test("refuses what is no port", async () => {
    expect(await lazycluster("forward", "host-1", "http")).toMatchObject({ code: 2 });
  });
});
