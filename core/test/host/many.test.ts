import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startHosts, type TestHosts } from "../hosts";
import { eventually, expectCleanHost, startManager, workspace, type Workspace } from "../support";
import { specOf } from "./helpers";

/** A thousand takes minutes and gigabytes for what runs on the hosts, which are this machine: once, with agents, whose logins these are too. */
const LONG = process.env["LAZYCLUSTER_LONG_TESTS"] === "1";
const HOSTS = 4;

interface Report {
  /** [ms] */
  readonly open: number;
  readonly answered: number;
  readonly closed: number;
  /** [bytes] of the manager: before, with all connections, and after. */
  readonly memory: readonly number[];
  readonly answers: number;
}

/** Runs a manager of its own, so that only its memory is measured. `open` gives something with `ask` and `close`. */
const script = (open: string): string => `
  const rss = () => process.memoryUsage().rss;
  const specs = Array.from({ length: input.count }, (_, index) => ({
    ...input.spec,
    host: "many-" + ((index % input.hosts) + 1) + "-" + index,
  }));
  ${open}
  const before = rss();
  const start = performance.now();
  const opened = await Promise.all(specs.map(open));
  const atOpen = performance.now();
  const answers = await Promise.all(opened.map((each) => each.ask()));
  const atAnswer = performance.now();
  const full = rss();
  await Promise.all(opened.map((each) => each.close()));
  say("report", {
    open: atOpen - start, answered: atAnswer - atOpen, closed: performance.now() - atAnswer,
    memory: [before, full, rss()], answers: answers.filter((answer) => answer.trim() === "ok").length,
  });
`;

const CONNECTIONS = `
  const { connectHost } = require(input.connect);
  const { text } = require("node:stream/consumers");
  const open = async (spec) => {
    const { signal } = new AbortController();
    const connection = await connectHost(spec, { signal, prompt: null, log() {} });
    return {
      ask: async () => {
        const process = await connection.exec("echo ok");
        process.stdin.end();
        process.stderr.resume();
        return text(process.stdout);
      },
      close: () => connection.close(),
    };
  };`;

const AGENTS = `
  const { Connection } = lazycluster;
  const open = async ({ host }) => {
    const connection = await Connection.open(host);
    return {
      ask: async () => {
        const task = new RuntimeTask().runCommand("echo ok");
        await task.execute(connection);
        return task.executionLog[0];
      },
      close: () => connection.close(),
    };
  };`;

describe("many connections at once from one process", () => {
  let lab: TestHosts;
  let space: Workspace;
  let configFile: string;
  beforeAll(async () => {
    lab = await startHosts({ count: HOSTS, sshdConfig: ["MaxStartups 20:30:60"] });
    space = workspace(lab.configFile);
    // Many names, few hosts.
    const text = readFileSync(lab.configFile, "utf8");
    configFile = join(lab.dir, "many");
    writeFileSync(configFile, text.replace(/^Host host-(\d)/gm, "Host host-$1 many-$1-*"));
    space.env["LAZYCLUSTER_SSH_CONFIG"] = configFile;
  });
  afterAll(async () => {
    space.remove();
    await lab.stop();
  });

  const measure = async (open: string, count: number, timeoutMs: number): Promise<Report> => {
    const spec = specOf("", { configFile });
    const connect = join(__dirname, "..", "..", "dist", "host", "connect.js");
    const manager = startManager(script(open), { env: space.env, input: { spec, count, hosts: HOSTS, connect } });
    const report = await manager.hear<Report>("report", timeoutMs);
    expect(await manager.exited).toMatchObject({ code: 0, stderr: "" });
    const [before = 0, full = 0, after = 0] = report.memory.map((bytes) => Math.round(bytes / 1e6));
    const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
    console.log(
      `${count} connections: ${seconds(report.open)} to open, ${seconds(report.answered)} for a command on each, ` +
        `${seconds(report.closed)} to close; ${before} MB of memory before, ${full} MB with all of them, ${after} MB after`,
    );
    return report;
  };

  test("logins alone", async () => {
    const count = 100;
    const report = await measure(CONNECTIONS, count, 100_000);
    expect(report.answers).toBe(count);
    for (const host of lab.hosts)
      await eventually(async () => expect((await host.sshdProcesses()).length).toBe(1), 10_000);
  }, 120_000);

  test("with an agent on each", async () => {
    const count = LONG ? 1000 : 40;
    const report = await measure(AGENTS, count, 580_000);
    expect(report.answers).toBe(count);
    for (const host of lab.hosts) await expectCleanHost(host, 10_000);
  }, 600_000);
});
