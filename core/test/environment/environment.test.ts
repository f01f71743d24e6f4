/** Rows of API.md: Environment, log files, levels, a logger of one's own. */
import { mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type TestHosts, startHosts } from "../hosts";
import {
  Environment,
  InvalidArgumentError,
  type Logger,
  Runtime,
  RuntimeGroup,
  RuntimeTask,
  type Workspace,
  startManager,
  workspace,
} from "../support";

type Level = "error" | "warn" | "info" | "debug";
type Message = [Level, string, object | undefined];

let hosts: TestHosts;
let space: Workspace;
const standard = Environment.logger;

/** A logger that keeps what it hears. */
function keeper(more: Partial<Logger> = {}): { readonly logger: Logger; readonly heard: Message[] } {
  const heard: Message[] = [];
  const hear =
    (level: Level) =>
    (message: string, details?: object): void =>
      void heard.push([level, message, details]);
  const logger = { error: hear("error"), warn: hear("warn"), info: hear("info"), debug: hear("debug"), ...more };
  return { logger, heard };
}

beforeAll(async () => {
  hosts = await startHosts({ count: 2 });
  space = workspace(hosts.configFile);
});
afterEach(() => {
  Environment.logger = standard;
  Environment.setLogLevel(null);
  Environment.setThirdPartyLogLevel("error");
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

describe("mainDirectory, setMainDirectory", () => {
  it("is where execution logs go: execution_log/<host>/<task name><timestamp>.log", async () => {
    const before = Environment.mainDirectory;
    const dir = space.path("main dir");
    Environment.setMainDirectory(dir);
    try {
      expect(Environment.mainDirectory).toBe(dir);
      await new Runtime("host-1").use(async (runtime) => {
        const task = await runtime.executeTask(new RuntimeTask("named").runCommand("echo x"));
        expect(dirname(task.executionLogFilePath!)).toBe(join(dir, "execution_log", "host-1"));
        expect(basename(task.executionLogFilePath!)).toMatch(/^named_\d{8}_\d{6}\.\d+_[0-9a-f]+\.log$/);
      });
      Environment.setMainDirectory("relative");
      expect(Environment.mainDirectory).toBe(join(process.cwd(), "relative"));
      Environment.setMainDirectory("~/mine");
      expect(Environment.mainDirectory).toBe(join(homedir(), "mine"));
      expect(() => Environment.setMainDirectory("")).toThrow(InvalidArgumentError);
    } finally {
      Environment.setMainDirectory(before);
    }
  });

  it("is LAZYCLUSTER_MAIN_DIRECTORY, else ./lazycluster", async () => {
    const cwd = space.path("cwd");
    mkdirSync(cwd);
    const where = async (env: Record<string, string>): Promise<unknown> => {
      const script = startManager('say("dir", Environment.mainDirectory);', { env: { ...space.env, ...env }, cwd });
      const dir = await script.hear("dir");
      await script.exited;
      return dir;
    };
    expect(await where({ LAZYCLUSTER_MAIN_DIRECTORY: "there" })).toBe(join(cwd, "there"));
    expect(await where({ LAZYCLUSTER_MAIN_DIRECTORY: "" })).toBe(join(cwd, "lazycluster"));
  });
});

describe("sshConfigFile", () => {
  it("is what hosts are looked up in, from its setting on; a Runtime may have its own", async () => {
    const file = space.path("config");
    writeFileSync(file, `Include ${hosts.configFile}\n`);
    expect(Environment.sshConfigFile).toBe(hosts.configFile);
    Environment.sshConfigFile = "/nowhere/at/all";
    const [lost, found] = [new Runtime("host-1"), new Runtime("host-1", { sshConfigFile: file })];
    Environment.sshConfigFile = file;
    const later = new Runtime("host-2");
    Environment.sshConfigFile = "";
    expect(Environment.sshConfigFile).toBe(hosts.configFile);
    expect(await Promise.all([lost, found, later].map((runtime) => runtime.isValidRuntime()))).toEqual([
      false,
      true,
      true,
    ]);
    await Promise.all([lost, found, later].map((runtime) => runtime.close()));
    expect(() => (Environment.sshConfigFile = 3 as never)).toThrow(InvalidArgumentError);
    expect(() => new Runtime("host-1", { sshConfigFile: "" })).toThrow(InvalidArgumentError);
  });
});

describe("the logger", () => {
  const twoSteps = (): InstanceType<typeof RuntimeTask> =>
    new RuntimeTask("steps")
      .runCommand("echo out; echo err >&2")
      .runCommand("true")
      .runCommand("printf '\\033[31mred'");

  it("hears at debug level what each step printed, when the task runs without `debug: true`", async () => {
    const { logger, heard } = keeper();
    Environment.logger = logger;
    await new Runtime("host-1").use(async (runtime) => {
      const task = await runtime.executeTask(twoSteps());
      const steps = heard.filter(([, message]) => message.includes('"steps"'));
      expect(steps.map(([level, message]) => [level, message])).toEqual([
        ["debug", 'host-1: step 0 of task "steps": done; it printed\nout\nerr'],
        ["debug", 'host-1: step 1 of task "steps": done'],
        ["debug", 'host-1: step 2 of task "steps": done; it printed\n\ufffd[31mred'],
      ]);
      expect(steps[0]![2]).toEqual({
        host: "host-1",
        task: "steps",
        step: 0,
        state: "done",
        output: "out\nerr\n",
        logFile: task.executionLogFilePath,
      });
      heard.length = 0;
      const written = vi.spyOn(process.stdout, "write").mockReturnValue(true);
      try {
        await runtime.executeTask(twoSteps(), { debug: true });
        expect(Buffer.concat(written.mock.calls.map(([data]) => Buffer.from(data as Uint8Array))).toString()).toMatch(
          /^out\n/,
        );
      } finally {
        written.mockRestore();
      }
      expect(heard).toEqual([]);
    });
  });

  it("a failed step is told too, a cancelled one as well; of each host of a broadcast", async () => {
    const { logger, heard } = keeper();
    Environment.logger = logger;
    const group = new RuntimeGroup("host-1", "host-2");
    await group
      .executeTask(new RuntimeTask("bad").runCommand("echo oh; exit 3"), { broadcast: true })
      .catch(() => undefined);
    expect(heard.map(([, message]) => message).sort()).toEqual([
      'host-1: step 0 of task "bad-1": failed; it printed\noh',
      'host-2: step 0 of task "bad-2": failed; it printed\noh',
    ]);
    await group.close();
  });

  it("is asked first where it says what it wants; nothing is read for one that does not want debug", async () => {
    const asked: string[] = [];
    const { logger, heard } = keeper({ isLevelEnabled: (level) => asked.push(level) > 0 && level !== "debug" });
    Environment.logger = logger;
    await new Runtime("host-1").use((runtime) => runtime.executeTask(twoSteps()));
    expect(heard).toEqual([]);
    expect(asked).toContain("debug");
  });

  it("logLevel: `warn` for the default one, everything for one's own, and what setLogLevel says", async () => {
    const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const group = new RuntimeGroup("host-1");
    try {
      expect(Environment.logLevel).toBe("warn");
      group.removeRuntime("host-8");
      expect(written.mock.calls).toEqual([[expect.stringMatching(/^lazycluster: removeRuntime: 'host-8' .*\n$/)]]);
      await group.executeTask(twoSteps());
      expect(written).toHaveBeenCalledTimes(1);
    } finally {
      written.mockRestore();
    }
    const { logger, heard } = keeper();
    Environment.logger = logger;
    expect(Environment.logLevel).toBe("debug");
    const seen: Record<string, Level[]> = {};
    for (const level of ["debug", "info", "warn", "error", "silent"] as const) {
      Environment.setLogLevel(level);
      heard.length = 0;
      group.removeRuntime("host-8");
      await group.executeTask(new RuntimeTask().runCommand("true"));
      seen[level] = heard.map(([at]) => at);
    }
    expect(seen).toEqual({ debug: ["warn", "debug"], info: ["warn"], warn: ["warn"], error: [], silent: [] });
    expect(() => Environment.setLogLevel("loud" as never)).toThrow(InvalidArgumentError);
    expect(() => (Environment.logger = { ...logger, info: undefined } as never)).toThrow(/info is missing/);
    await group.close();
  });

  it("that throws breaks nothing", async () => {
    const { logger } = keeper({
      debug: () => {
        throw new Error("no disk");
      },
    });
    Environment.logger = logger;
    const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      await new Runtime("host-1").use((runtime) => runtime.executeTask(twoSteps()));
      expect(written.mock.calls[0]).toEqual([expect.stringMatching(/the logger threw \(Error: no disk\)/)]);
    } finally {
      written.mockRestore();
    }
  });

  it("thirdPartyLogLevel: packets of ssh2 at debug level, when it is debug", async () => {
    const { logger, heard } = keeper();
    Environment.logger = logger;
    expect(Environment.thirdPartyLogLevel).toBe("error");
    await new Runtime("host-1").use((runtime) => runtime.echo("x"));
    expect(heard.filter(([, message]) => /CHANNEL_/.test(message))).toEqual([]);
    Environment.setThirdPartyLogLevel("debug");
    expect(Environment.thirdPartyLogLevel).toBe("debug");
    await new Runtime("host-1").use((runtime) => runtime.echo("x"));
    expect(heard.some(([level, message]) => level === "debug" && /CHANNEL_/.test(message))).toBe(true);
    expect(() => Environment.setThirdPartyLogLevel("all" as never)).toThrow(InvalidArgumentError);
  });
});
