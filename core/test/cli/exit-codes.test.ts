/** What commands say of themselves when they end: exit codes and messages, of one host and of several. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHosts, startHosts } from "../hosts";
import { anyPort } from "../ports/services";
import { type Ended, starter } from "./program";

let hosts: TestHosts;
let state: string;
const env = (): Record<string, string> => ({
  LAZYCLUSTER_SSH_CONFIG: hosts.configFile,
  LAZYCLUSTER_STATE_DIR: state,
  LAZYCLUSTER_MAIN_DIRECTORY: "",
});
const start = starter(env);
const lazycluster = (...args: string[]): Promise<Ended> => start(...args).ended;

/** Of the one task that runs. */
async function runningId(): Promise<string> {
  const listed = JSON.parse((await lazycluster("ps", "--json")).stdout) as { id: string }[];
  expect(listed).toHaveLength(1);
  return listed[0]!.id;
}

beforeAll(async () => {
  hosts = await startHosts({ count: 2 });
  state = mkdtempSync(join(tmpdir(), "lc-codes-"));
});
afterAll(async () => {
  await hosts.stop();
  rmSync(state, { recursive: true, force: true });
});

describe("run --group", () => {
  const group = (names: string, command: string, ...options: string[]): Promise<Ended> =>
    lazycluster("run", "--group", names, ...options, "--", command);

  it("exits with the highest exit code, also with --json", async () => {
    const command = 'case "$(hostname)" in *1*) exit 3;; *) exit 2;; esac';
    expect((await group("host-1,host-2", command)).code).toBe(3);
    const { code, stdout } = await group("host-1,host-2", command, "--json");
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject([
      { host: "host-1", exitCode: 3 },
      { host: "host-2", exitCode: 2 },
    ]);
    expect((await group("host-1,host-2", "true", "--json")).code).toBe(0);
  });

  it("exits with 255 for a host of no use, with 1 for a command that took too long or was killed", async () => {
    expect((await group("host-1,nowhere.invalid", "exit 7")).code).toBe(255);
    expect((await group("host-1,nowhere.invalid", "exit 7", "--json")).code).toBe(255);
    expect((await group("host-1", "sleep 60", "--timeout", "0.3")).code).toBe(1);
    expect((await group("host-1", "kill -KILL $$")).code).toBe(1);
  });

  it("ends on all hosts at one Ctrl-C, exits with 130, and warns of nothing, with many hosts", async () => {
    const names = Array.from({ length: 14 }, (_, index) => `many-${String(index)}`);
    const config = join(state, "many");
    const own = readFileSync(hosts.configFile, "utf8");
    expect(own).toContain("Host host-1\n");
    // Names of one host.
    writeFileSync(config, own.replace("Host host-1\n", `Host ${names.join(" ")}\n`));
    const program = start("--ssh-config", config, "run", "--group", names.join(","), "--", "echo started; sleep 4714");
    for (const name of names) await program.printed(`${name.padEnd(7)} │ started`);
    program.child.kill("SIGINT");
    const { code, stdout, stderr } = await program.ended;
    expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
    expect(stdout.match(/^many-\d+ +cancelled/gm)).toHaveLength(14);
    const left = (await hosts.hosts[0]!.processes()).filter(({ args }) => args.includes("sleep 4714"));
    expect(left).toEqual([]);
  });

  it("names its own option when it names no host", async () => {
    const { code, stderr } = await group("", "true");
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining("--group takes names of hosts") as string,
    });
  });
});

describe("attach", () => {
  it("exits with 130 when the task is cancelled from elsewhere", async () => {
    const program = start("run", "host-1", "--", "echo here; sleep 4715");
    await program.printed("here");
    const id = await runningId();
    const attached = start("attach", id);
    await attached.printed("here");
    expect((await lazycluster("cancel", id)).code).toBe(0);
    expect(await attached.ended).toMatchObject({
      code: 130,
      stderr: expect.stringContaining("was cancelled") as string,
    });
    expect((await program.ended).code).toBe(130);
    expect((await lazycluster("attach", id)).code).toBe(130);
  });

  it("exits with 255 when the task is lost with its process", async () => {
    const program = start("run", "host-1", "--", "echo here; sleep 4716");
    await program.printed("here");
    const id = await runningId();
    const attached = start("attach", id);
    await attached.printed("here");
    program.child.kill("SIGKILL");
    expect(await attached.ended).toMatchObject({ code: 255, stderr: expect.stringContaining("is lost") as string });
  });

  it("exits with 1 when the task took too long", async () => {
    const program = start("run", "--timeout", "3", "host-1", "--", "echo here; trap 'exit 7' TERM; sleep 4717 & wait");
    await program.printed("here");
    const attached = start("attach", await runningId());
    expect(await attached.ended).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("did not end within") as string,
    });
    expect((await program.ended).code).toBe(1);
  });
});

describe("the name of a task", () => {
  it("must not be empty", async () => {
    const program = start("run", "host-1", "--", "echo here; sleep 4716");
    await program.printed("here");
    for (const command of ["cancel", "logs", "attach"]) {
      for (const name of ["", " "]) {
        const { code, stderr } = await lazycluster(command, name);
        expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("name is empty") as string });
      }
    }
    expect((await lazycluster("ps")).stdout).toContain("running");
    program.child.kill("SIGINT");
    expect((await program.ended).code).toBe(130);
  });
});

it("forward exits with 0 at Ctrl-C, its usual end", async () => {
  const program = start("forward", "host-1", "7", String(await anyPort()));
  await program.printed("leads to");
  program.child.kill("SIGINT");
  expect(await program.ended).toMatchObject({ code: 0, stderr: "" });
});
