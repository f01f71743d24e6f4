/** Machines and containers that share a home, and so the state directory: each leaves alone what another one has. */
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../hosts/run";
import { eventually } from "../support/eventually";
import { type Start, starter } from "../cli/program";
import { type TestHosts, startHosts, unless } from "../hosts";
import { Machine, type Manager, type Workspace, noMachines, startManager, workspace } from "../support";

const JOURNAL = join(__dirname, "..", "..", "dist", "engine", "journal");
const impossible = noMachines();
interface Place {
  readonly machine: Machine;
  readonly start: Start;
}
interface Begun {
  readonly followed: string;
  readonly plain: string;
  readonly taken: string;
  readonly spool: string;
  /** As its machine sees it. */
  readonly pid: number;
}
interface Line {
  readonly name: string;
  readonly state: string;
  readonly orphaned: boolean;
  readonly elsewhere: string | null;
}

describe("a state directory that machines share", unless(impossible), () => {
  let hosts: TestHosts;
  let space: Workspace;
  /** `twin`: another container of `one`, with its id and name, which shares its temporary folder. */
  let one: Place, two: Place, twin: Place;
  const all: Machine[] = [];

  async function place(id: string, name: string, own: readonly string[]): Promise<Place> {
    const machine = await Machine.start({ id, name, own });
    all.push(machine);
    return {
      machine,
      start: starter(
        () => space.env,
        () => machine.enter,
      ),
    };
  }

  beforeAll(async () => {
    hosts = await startHosts({ count: 1 });
    space = workspace(hosts.configFile);
    const tmp = space.env["TMPDIR"]!;
    [one, two, twin] = await Promise.all([
      place("a".repeat(32), "machine-a", []),
      place("b".repeat(32), "machine-b", [tmp]),
      place("a".repeat(32), "machine-a", []),
    ]);
  }, 60_000);
  afterAll(async () => {
    for (const machine of all) await machine.stop();
    await hosts.stop();
    space.remove();
  });

  const opened = (gate: string): Promise<unknown> => hosts.hosts[0]!.exec(["touch", gate]);
  const behind = (gate: string): string =>
    `for i in $(seq 20); do echo line $i; done; until [ -e ${gate} ]; do sleep 0.05; done; rm ${gate}; for i in $(seq 21 40); do echo line $i; done`;
  /** Prints all the time, also while it changes hands. */
  const until = (gate: string): string =>
    `n=0; until [ -e ${gate} ]; do n=$((n+1)); echo line $n; sleep 0.02; done; rm ${gate}`;
  const linesTo = (last: number): string =>
    Array.from({ length: last }, (_, index) => `line ${String(index + 1)}\n`).join("");
  const LINES = linesTo(40);

  /** A manager with two detached tasks, one that is not, and a file of a large value. */
  function begin({ machine }: Place, name: string, gates: readonly [string, string]): Manager {
    const body = `
      const path = require(${JSON.stringify(JOURNAL)}).spoolPath();
      require("fs").writeFileSync(path, "a large value");
      const runtime = new Runtime("host-1");
      const [followed, taken] = ["followed", "taken"].map((task, index) =>
        runtime.executeTask(new RuntimeTask(task + "-" + input.name).runCommand(input.commands[index]), { detach: true }));
      const plain = runtime.executeTask(new RuntimeTask("plain-" + input.name).runCommand("sleep 4720"));
      const ends = { plain: "runs", taken: "runs" };
      plain.catch((error) => (ends.plain = error.message));
      taken.catch((error) => say("taken", { message: error.message, code: error.code }));
      await Promise.all([followed.detached(), taken.detached(), plain.process.key]);
      const id = (execution) => execution.process.key.split("::").at(-1);
      say("begun", { followed: id(followed), plain: id(plain), taken: id(taken), spool: path, pid: process.pid });
      await followed;
      say("followed", followed.task.executionLog);
      await heard();
      say("ends", ends);
    `;
    const commands = [behind(gates[0]), until(gates[1])];
    return startManager(body, { env: space.env, cwd: space.dir, enter: machine.enter, input: { name, commands } });
  }

  const listed = async ({ start }: Place): Promise<Record<string, Line>> => {
    const { stdout } = await start("ps", "--json").ended;
    return Object.fromEntries((JSON.parse(stdout) as Line[]).map((line) => [line.name, line]));
  };
  const engines = (): string[] => readdirSync(join(space.env["LAZYCLUSTER_STATE_DIR"]!, "engines"));
  const living = (): string => join(space.env["LAZYCLUSTER_STATE_DIR"]!, "living");

  /** As if nobody had given a sign of life for 11 minutes. */
  function silence(): void {
    const names = readdirSync(living());
    expect(names).not.toEqual([]);
    const since = Date.now() / 1000 - 11 * 60;
    for (const name of names) utimesSync(join(living(), name), since, since);
  }

  it("is listed, followed and cancelled at the same time, and nobody deletes or steals what another one has", async () => {
    const gates = Array.from({ length: 4 }, () => `/tmp/gate-${randomUUID()}`) as [string, string, string, string];
    const managers = [begin(one, "a", [gates[0], gates[1]]), begin(two, "b", [gates[2], gates[3]])] as const;
    const [a, b] = (await Promise.all(managers.map((manager) => manager.hear<Begun>("begun", 60_000)))) as [
      Begun,
      Begun,
    ];
    // An engine of its own each, which would clear up what is left over.
    const runs = [one, two, twin].map(({ start }) => start("run", "host-1", "--", "true").ended);
    const follows = [
      two.start("attach", a.followed),
      two.start("logs", "-f", a.followed),
      twin.start("attach", a.followed),
      one.start("attach", b.followed),
      one.start("logs", "-f", b.followed),
    ];
    const lists = [one, two, twin].map(listed);
    for (const { code } of await Promise.all(runs)) expect(code).toBe(0);
    for (const follow of follows) await follow.printed("line 20\n");
    const [fromOne, fromTwo, fromTwin] = (await Promise.all(lists)) as [
      Record<string, Line>,
      Record<string, Line>,
      Record<string, Line>,
    ];
    const there = (elsewhere: string | null): object => ({ state: "running", orphaned: false, elsewhere });
    for (const task of ["followed", "plain", "taken"]) {
      expect(fromOne).toMatchObject({ [`${task}-a`]: there(null), [`${task}-b`]: there("machine-b") });
      expect(fromTwo).toMatchObject({ [`${task}-a`]: there("machine-a"), [`${task}-b`]: there(null) });
      expect(fromTwin).toMatchObject({
        [`${task}-a`]: there("another container of machine-a"),
        [`${task}-b`]: there("machine-b"),
      });
    }
    expect((await two.start("ps").ended).stdout).toMatch(/running +host-1 +plain-a .* on machine-a$/m);

    // What cannot be reached says where to go; what can be, ends.
    const refused = await two.start("cancel", a.plain).ended;
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(/plain-a.* on machine-a looks after it.*Call `lazycluster cancel \w+` there\.$/m);
    expect((await two.start("cancel", a.taken).ended).stderr).toMatch(/there; or .*`lazycluster cancel \w+ --force`/);
    expect(await listed(one)).toMatchObject({ "plain-a": { state: "running" }, "taken-a": { state: "running" } });
    const ends = await Promise.all([twin.start("cancel", a.plain).ended, two.start("cancel", b.plain).ended]);
    for (const { code, stdout } of ends)
      expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining("has ended") as string });

    // A task that one has is another's only when that is said.
    const forced = two.start("attach", "--force", a.taken);
    await forced.printed("line 20\n");
    expect(await managers[0].hear("taken", 60_000)).toMatchObject({
      code: "ERR_TASK_LOST",
      message: expect.stringMatching(/on machine-b has taken it over/) as string,
    });
    expect(await listed(one)).toMatchObject({ "taken-a": { state: "running", elsewhere: "machine-b" } });

    for (const gate of gates) await opened(gate);
    for (const manager of managers) expect(await manager.hear("followed", 60_000)).toEqual([LINES]);
    for (const { ended } of follows) expect(await ended).toMatchObject({ code: 0, stdout: LINES });
    for (const { followed } of [a, b]) expect((await one.start("logs", followed).ended).stdout).toBe(LINES);
    const whole = await forced.ended;
    expect(whole).toMatchObject({ code: 0, stdout: linesTo(whole.stdout.split("\n").length - 1) });
    expect((await one.start("logs", a.taken).ended).stdout).toBe(whole.stdout);
    for (const { spool } of [a, b]) expect(readFileSync(spool, "utf8")).toBe("a large value");
    managers.forEach((manager) => manager.tell("end"));
    for (const manager of managers) {
      expect(await manager.hear<object>("ends")).toMatchObject({
        plain: expect.stringContaining("cancelled") as string,
      });
      expect((await manager.exited).code).toBe(0);
    }
    // Who ends by himself is waited for by nobody.
    expect(readdirSync(living())).toEqual([]);
  }, 240_000);

  it("lets nobody wait for ever for a machine that was switched off: after a long silence another one goes on", async () => {
    const gate = `/tmp/gate-${randomUUID()}`;
    const off = await place("c".repeat(32), "machine-c", []);
    const manager = begin(off, "c", [gate, `/tmp/gate-${randomUUID()}`]);
    const { followed, spool } = await manager.hear<Begun>("begun", 60_000);
    const before = engines();
    const follower = one.start("attach", followed);
    await follower.printed("line 20\n");
    await off.machine.stop();
    await manager.exited;
    expect(await listed(one)).toMatchObject({ "followed-c": { orphaned: false, elsewhere: "machine-c" } });
    silence();
    await opened(gate);
    expect(await follower.ended).toMatchObject({ code: 0, stdout: LINES });
    expect(await listed(one)).toMatchObject({ "taken-c": { orphaned: true, elsewhere: null } });
    // The work may be gone on with; what it has is not removed.
    expect((await one.start("run", "host-1", "--", "true").ended).code).toBe(0);
    expect(engines()).toEqual(expect.arrayContaining(before));
    expect(readFileSync(spool, "utf8")).toBe("a large value");
    expect((await one.start("cancel", "taken-c").ended).code).toBe(0);
  }, 120_000);

  it("shuts out who slept meanwhile: the task is its new holder's, and its log has each line once", async () => {
    const gates = [`/tmp/gate-${randomUUID()}`, `/tmp/gate-${randomUUID()}`] as const;
    const manager = begin(one, "d", gates);
    const { taken, pid } = await manager.hear<Begun>("begun", 60_000);
    // `nsenter` stops with it, and lets it go on again.
    const [program, ...enter] = one.machine.enter;
    const follower = two.start("attach", taken);
    await follower.printed("line 20\n");
    await must(program!, [...enter, "kill", "-STOP", String(pid)]);
    silence();
    await eventually(async () => (await listed(one))["taken-d"]?.elsewhere === "machine-b", 30_000);
    manager.kill("SIGCONT");
    expect(await manager.hear("taken", 60_000)).toMatchObject({ code: "ERR_TASK_LOST" });
    for (const gate of gates) await opened(gate);
    const whole = await follower.ended;
    expect(whole).toMatchObject({ code: 0, stdout: linesTo(whole.stdout.split("\n").length - 1) });
    expect((await one.start("logs", taken).ended).stdout).toBe(whole.stdout);
    expect(await manager.hear("followed", 60_000)).toEqual([LINES]);
    manager.tell("end");
    await one.start("cancel", "plain-d").ended;
    expect((await manager.exited).code).toBe(0);
  }, 120_000);
});
