/** `lazycluster cancel` where the process that looks after a task does not answer, or is gone. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHosts, startHosts } from "../hosts";
import { type Manager, eventually, startManager } from "../support";
import { type Ended, starter } from "./program";

let hosts: TestHosts;
let folder: string;
const env = (): Record<string, string> => ({
  LAZYCLUSTER_SSH_CONFIG: hosts.configFile,
  LAZYCLUSTER_STATE_DIR: join(folder, "state"),
  LAZYCLUSTER_MAIN_DIRECTORY: join(folder, "main"),
});
const start = starter(env);
const lazycluster = (...args: string[]): Promise<Ended> => start(...args).ended;

/** Starts a task, and says its id when that runs. */
function startTask(name: string, command: string, detach: boolean, more: Record<string, string> = {}): Manager {
  const body = `
    const execution = new Runtime("host-1").executeTask(new RuntimeTask(input.name).runCommand(input.command), { detach: input.detach });
    if (input.detach) await execution.detached();
    say("id", execution.process.key.split("::").at(-1));
    await execution.catch(() => undefined);
  `;
  return startManager(body, { env: { ...env(), ...more }, input: { name, command, detach } });
}

const running = async (args: string): Promise<number> =>
  (await hosts.hosts[0]!.processes()).filter((process) => process.args.includes(args)).length;

beforeAll(async () => {
  hosts = await startHosts({ count: 1 });
  folder = mkdtempSync(join(tmpdir(), "lc-cancel-"));
});
afterAll(async () => {
  await hosts.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe("cancel", () => {
  it.each([true, false])(
    "names task, host and process when that does not answer, and says what to do (detached: %s)",
    async (detach) => {
      const manager = startTask("held", "sleep 4721", detach);
      const id = await manager.hear<string>("id", 30_000);
      await eventually(async () => (await running("sleep 4721")) > 0, 30_000);
      manager.kill("SIGSTOP");
      const { code, stderr } = await lazycluster("cancel", id);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^lazycluster: Task "held" \([0-9a-f]{8}\) on host-1 was not cancelled: .*\n$/);
      expect(stderr).toContain(`kill -KILL ${String(manager.pid)}`);
      expect(stderr.includes("lazycluster cancel")).toBe(detach);
      // As it says.
      manager.kill();
      await manager.exited;
      if (detach) expect(await lazycluster("cancel", id)).toMatchObject({ code: 0, stderr: "" });
      await eventually(async () => (await running("sleep 4721")) === 0, 30_000);
    },
    120_000,
  );

  it("does so, too, of a process that has no control socket", async () => {
    // The folder for sockets is not private, so it is not used.
    const tmp = join(folder, "tmp");
    const name = `lazycluster-control-${String(process.getuid?.() ?? 0)}`;
    mkdirSync(join(tmp, name), { recursive: true, mode: 0o755 });
    const manager = startTask("deaf", "sleep 4722", false, { TMPDIR: tmp });
    const id = await manager.hear<string>("id", 30_000);
    await eventually(async () => (await running("sleep 4722")) > 0, 30_000);
    const { code, stderr } = await lazycluster("cancel", id);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("has no control socket") as string });
    expect(stderr).toContain(String(manager.pid));
    manager.kill("SIGINT");
    await manager.exited;
  }, 60_000);

  it("says nothing more of a detached task that had failed already", async () => {
    const gate = join(hosts.hosts[0]!.dir, "tmp", "gate-failed");
    const manager = startTask("failed", "until [ -e /tmp/gate-failed ]; do sleep 0.05; done; exit 9", true);
    const id = await manager.hear<string>("id", 30_000);
    manager.kill();
    await manager.exited;
    writeFileSync(gate, "");
    await eventually(async () => (await running("gate-failed")) === 0, 30_000);
    expect(await lazycluster("cancel", id)).toEqual({ code: 0, stdout: "It had ended already.\n", stderr: "" });
    expect((await lazycluster("attach", id)).code).toBe(9);
  }, 60_000);
});
