/** `lazycluster doctor` on hosts that are well, and on hosts that are not. */
import { spawnSync } from "child_process";
import { mkdtempSync, rmSync, writeFileSync } from "fs";
import { createServer } from "net";
import { tmpdir } from "os";
import { join } from "path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestHosts, startHosts } from "../hosts";

const PROGRAM = join(__dirname, "..", "..", "bin", "lazycluster.js");

interface Finding {
  readonly check: string;
  readonly state: string;
  readonly text: string;
  readonly advice: string | null;
}

let hosts: TestHosts;
let folder: string;

beforeAll(async () => {
  hosts = await startHosts({ count: 1 });
  folder = mkdtempSync(join(tmpdir(), "lc-doctor-"));
});
afterAll(async () => {
  await hosts.stop();
  rmSync(folder, { recursive: true, force: true });
});

function run(config: string, ...args: string[]): { code: number | null; stdout: string } {
  const env = { ...process.env, LAZYCLUSTER_SSH_CONFIG: config, LAZYCLUSTER_STATE_DIR: folder };
  const { status, stdout } = spawnSync(process.execPath, [PROGRAM, "doctor", ...args], {
    env,
    encoding: "utf8",
    timeout: 30_000,
  });
  return { code: status, stdout };
}

/** The last finding of a host with these options, before those of the good one. */
function diagnose(options: string, ...args: string[]): { code: number | null; findings: Finding[] } {
  const config = join(folder, "config");
  writeFileSync(config, `Host host-1\n${options}\nInclude ${hosts.configFile}\n`);
  const { code, stdout } = run(config, "host-1", "--json", ...args);
  return { code, findings: JSON.parse(stdout) as Finding[] };
}

describe("a host that is well", () => {
  test("passes every check", () => {
    const { code, findings } = diagnose("");
    expect(code).toBe(0);
    expect(findings.map(({ check }) => check)).toEqual(
      expect.arrayContaining([
        "ssh config",
        "network",
        "host key",
        "login",
        "agent",
        "python",
        "disk",
        "clock",
        "forwarding",
      ]),
    );
    expect(findings.filter(({ state }) => state === "failed")).toEqual([]);
  });

  test("is shown as a list", () => {
    const { code, stdout } = run(hosts.configFile, "host-1");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^✓ ssh config +\S+ at \S+, port \d+$/m);
    expect(stdout).toMatch(/^✓ python +cpython 3\.\d+\.\d+/m);
  });

  test("may be this machine, without ssh", () => {
    const { code, stdout } = run(hosts.configFile, "localhost", "--json");
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as Finding[]).map(({ check }) => check)).toEqual([
      "network",
      "agent",
      "python",
      "disk",
      "clock",
    ]);
  });
});

describe("the check that fails is the last one, and says what to do", () => {
  test.each([
    ["a name that nobody knows", "  HostName nobody.invalid", "name", /nobody\.invalid cannot be resolved/],
    ["a config that is wrong", "  NoSuchOption yes", "ssh config", /NoSuchOption|nosuchoption/i],
    ["a host key that is not known", "  UserKnownHostsFile /dev/null", "host key", /SHA256:/],
    ["a key that is not accepted", "  User nobody-at-all", "login", /nobody-at-all/],
  ])("%s", (_what, options, check, text) => {
    const { code, findings } = diagnose(options);
    expect(code).toBe(255);
    expect(findings.at(-1)).toMatchObject({ check, state: "failed", text: expect.stringMatching(text) as string });
    expect(findings.slice(0, -1).every(({ state }) => state === "ok")).toBe(true);
  });

  test("a port that nobody listens on", async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) =>
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
    );
    await new Promise((resolve) => server.close(resolve));
    const { findings } = diagnose(`  HostName 127.0.0.1\n  Port ${String(port)}`);
    expect(findings.at(-1)).toMatchObject({
      check: "network",
      state: "failed",
      text: expect.stringContaining("refused") as string,
    });
  });

  test("an interpreter that is not there", () => {
    const { code, findings } = diagnose("", "--python", "/no/such/python");
    expect(code).toBe(255);
    expect(findings.at(-1)).toMatchObject({
      check: "python",
      state: "failed",
      text: expect.stringContaining("/no/such/python") as string,
    });
  });
});
