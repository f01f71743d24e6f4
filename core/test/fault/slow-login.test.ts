/** Start-up files of a login shell that take long, print, or read what is not theirs; and a connection that breaks meanwhile. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, needsIsolation, startHosts } from "../hosts";
import {
  type LazyclusterErrorType,
  Runtime,
  type RuntimeType,
  type Workspace,
  eventually,
  rejection,
  workspace,
} from "../support";

/** Waits until the file is gone, as others do for a lock that nobody holds any more. */
const WAIT = "while [ -e ~/lock ]; do sleep 0.05; done";
/** [ms] for a login, also on a busy machine. */
const SHORT_MS = 3000;

let hosts: TestHosts;
let host: TestHost;
let space: Workspace;
beforeAll(async () => {
  hosts = await startHosts();
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

const home = (name: string): string => join(host.dir, "home", name);
beforeEach(() => {
  writeFileSync(home("lock"), "");
  // Whatever waits there goes on, and finds that nobody wants it any more.
  return () => rmSync(home("lock"), { force: true });
});
const startUp = (script: string): void => writeFileSync(home(".bashrc"), `${script}\n`);
const runtimeOver = (transport: "ssh2" | "openssh", connectTimeoutMs?: number, python?: string): RuntimeType =>
  new Runtime("host-1", {
    transport,
    connection: connectTimeoutMs === undefined ? {} : { connectTimeoutMs },
    ...(python === undefined ? {} : { python }),
  });
const refused = async (tried: RuntimeType): Promise<LazyclusterErrorType> => {
  try {
    return (await rejection(tried.info)) as LazyclusterErrorType;
  } finally {
    await tried.close();
  }
};
const waits = (): Promise<unknown> =>
  eventually(async () => (await host.processes()).some(({ args }) => args.startsWith("sleep 0.05")), 10_000);

// A host without a file system of its own has the .bashrc of whoever runs the tests.
describe("what is said of start-up files", needsIsolation(), () => {
  const runtime = runtimeOver.bind(null, "ssh2");

  it("that wait for a lock: said so, after the time that was given", async () => {
    startUp(`echo waiting for the lock\n${WAIT}`);
    expect(await refused(runtime(SHORT_MS))).toMatchObject({
      code: "ERR_INVALID_RUNTIME",
      message: expect.stringMatching(
        /within 3000 ms: its login shell was still in its start-up files.*lock.*connectTimeoutMs.*It printed: "waiting for the lock"$/,
      ) as string,
    });
  });

  it("that are through, and an interpreter that takes long: said so", async () => {
    startUp("");
    writeFileSync(home("slow-python"), `#!/bin/sh\n${WAIT}\nexec python3 "$@"\n`, { mode: 0o755 });
    expect(await refused(runtime(SHORT_MS, "~/slow-python"))).toMatchObject({
      code: "ERR_INVALID_RUNTIME",
      message: expect.stringMatching(
        /within 3000 ms: its login shell was through, and `~\/slow-python` was still starting/,
      ) as string,
    });
  });

  it("that wait for a line: said so", async () => {
    startUp("read answer");
    expect(await refused(runtime(SHORT_MS))).toMatchObject({
      code: "ERR_INVALID_RUNTIME",
      message: expect.stringMatching(/start-up files.*One of them reads its input/) as string,
    });
  });
});

describe.each(["ssh2", "openssh"] as const)("over %s, start-up files", needsIsolation(), (transport) => {
  const runtime = runtimeOver.bind(null, transport);

  it("that take long, and a time that is long enough: it works", async () => {
    startUp(WAIT);
    const slow = runtime(60_000);
    const info = slow.info;
    await waits();
    rmSync(home("lock"));
    expect((await info).host).toBe("host-1");
    await slow.close();
  });

  it("that print a megabyte: said so", async () => {
    startUp("head -c 1000000 /dev/zero | tr '\\0' x");
    expect(await refused(runtime())).toMatchObject({
      code: "ERR_INVALID_RUNTIME",
      message: expect.stringMatching(/prints more than 65536 bytes.*"xxx/) as string,
    });
  });

  it("that ask for a line, and go on without one: it works", async () => {
    startUp("read -t 1 answer");
    const asked = runtime();
    expect((await asked.info).host).toBe("host-1");
    await asked.close();
  });

  it("meanwhile the connection breaks: it is the connection's fault, and no other", async () => {
    startUp(WAIT);
    const failing = refused(runtime());
    await waits();
    const shell = (await host.processes()).find(({ args }) => args.includes("-c echo lazycluster"));
    const session = (await host.sshdProcesses()).find(({ pid }) => pid === shell?.ppid);
    process.kill(session!.outerPid, "SIGKILL");
    expect(await failing).toMatchObject({
      code: "ERR_CONNECTION",
      message: expect.stringMatching(
        /the connection broke while the agent started: host-1: the connection is lost/,
      ) as string,
    });
  });
});
