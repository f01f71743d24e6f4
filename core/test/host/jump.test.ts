import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { canIsolate, makeKey, startHosts, type TestHosts, needsIsolation } from "../hosts";
import { connect, failureOf, openSockets, output, whoAmI } from "./helpers";

describe.each(["ssh2", "openssh"] as const)("over %s", (transport) => {
  let lab: TestHosts;
  let configFile: string;
  beforeAll(async () => {
    lab = await startHosts({ count: 4 });
    ({ configFile } = lab);
  });
  afterAll(() => lab.stop());

  /** The lab's config, with these lines first. */
  const withConfig = (name: string, lines: string): string => {
    const file = join(lab.dir, name);
    writeFileSync(file, `${lines}\n${readFileSync(configFile, "utf8")}`, { mode: 0o600 });
    return file;
  };
  const logins = (index: number): number =>
    (readFileSync(join(lab.hosts[index]!.dir, "sshd.log"), "utf8").match(/^Accepted publickey/gm) ?? []).length;
  const cameFrom = async (config: string, proxyJump?: string): Promise<string> => {
    const connection = await connect("host-1", {
      configFile: config,
      transport,
      ...(proxyJump === undefined ? {} : { connection: { proxyJump } }),
    });
    const [address = ""] = (await output(connection, "echo $SSH_CONNECTION")).split(" ");
    await connection.close();
    return address;
  };

  test.each([
    [1, "host-2", 1],
    [2, "host-2,host-3", 2],
    [3, "host-2,host-3,host-4", 3],
  ])("%i hops by the option", async (_, proxyJump, last) => {
    const from = await cameFrom(configFile, proxyJump);
    if (canIsolate()) expect(from).toBe(lab.hosts[last]!.address);
  });

  test("3 hops by the ssh config, each with its own entry; none is none", async () => {
    const config = withConfig(
      "chain",
      "Host host-1\n  ProxyJump host-2\nHost host-2\n  ProxyJump host-3\nHost host-3\n  ProxyJump host-4\n",
    );
    const before = lab.hosts.map((_, index) => logins(index));
    const from = await cameFrom(config);
    if (canIsolate()) expect(from).toBe(lab.hosts[1]!.address);
    expect(lab.hosts.map((_, index) => logins(index) - before[index]!)).toEqual([1, 1, 1, 1]);
    const direct = await cameFrom(config, "none");
    if (canIsolate()) expect(lab.hosts.map(({ address }) => address)).not.toContain(direct);
  });

  test("a hop with user and port, and one that is named by its address", async () => {
    const { user, address, port } = lab.hosts[1]!;
    const config = withConfig(
      "address",
      `Host ${address}\n  IdentityFile ${lab.identityFile}\n  UserKnownHostsFile ${lab.knownHostsFile}\n`,
    );
    const from = await cameFrom(config, `${user}@${address}:${port}`);
    if (canIsolate()) expect(from).toBe(address);
  });

  test("many hosts behind one hop log in there once, and the last of them ends it", async () => {
    const before = logins(1);
    const sockets = openSockets();
    const connections = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        connect(index % 2 === 0 ? "host-1" : "host-3", {
          configFile,
          transport,
          connection: { proxyJump: "host-2" },
        }),
      ),
    );
    expect(logins(1) - before).toBe(1);
    const answers = await Promise.all(connections.map((connection) => output(connection, "hostname")));
    if (canIsolate()) expect(new Set(answers)).toEqual(new Set(["host-1\n", "host-3\n"]));
    await Promise.all(connections.slice(1).map((connection) => connection.close()));
    expect(await output(connections[0]!, "echo still")).toBe("still\n");
    await connections[0]!.close();
    await vi.waitFor(() => expect(openSockets()).toBeLessThanOrEqual(sockets));
    await vi.waitFor(async () => expect((await lab.hosts[1]!.sshdProcesses()).length).toBe(1));
  });

  test("bytes go through unchanged, both ways", async () => {
    const connection = await connect("host-1", { configFile, transport, connection: { proxyJump: "host-2,host-3" } });
    const process = await connection.exec("cat");
    const bytes = Buffer.from(Array.from({ length: 5_000_000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff));
    process.stdin.end(bytes);
    const pieces: Buffer[] = [];
    for await (const piece of process.stdout) pieces.push(piece as Buffer);
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    await connection.close();
  });

  describe("each hop's failure names the hop", () => {
    const fails = (proxyJump: string, host = "host-1", config = configFile) =>
      failureOf(host, { configFile: config, transport, connection: { proxyJump } });

    test("refused, unresolvable", async () => {
      expect(await fails("host-2:1")).toMatchObject({ code: "ERR_CONNECTION", errno: "ECONNREFUSED", host: "host-1" });
      expect((await fails("host-2:1")).message).toMatch(/^host-1: its jump host host-2:1: .* refused the connection/);
      expect((await fails("no-such.invalid")).message).toMatch(/its jump host no-such.invalid: .*cannot be resolved/);
      // The second of two: it is the first that cannot reach it.
      expect((await fails("host-2,host-3:1")).message).toMatch(
        /^host-1: its jump host host-2 cannot reach .*:1.*Connection refused/,
      );
      expect((await fails("host-2", "host-1:1")).message).toMatch(
        /^host-1:1: its jump host host-2 cannot reach .*:1.*Connection refused/,
      );
    });

    test("host key", async () => {
      const config = withConfig("unknown", `Host host-2\n  UserKnownHostsFile ${join(lab.dir, "empty")}\n`);
      const data = await fails("host-2", "host-1", config);
      expect(data).toMatchObject({ code: "ERR_HOST_KEY", host: "host-1", knownHostsFile: join(lab.dir, "empty") });
      expect(data.message).toMatch(/^host-1: its jump host host-2: .* is not known: its key ssh-ed25519 SHA256:/);
    });

    test("login", async () => {
      const stranger = await makeKey(join(lab.dir, "id_stranger"));
      const config = join(lab.dir, "login");
      writeFileSync(
        config,
        readFileSync(configFile, "utf8").replace(/(Host host-2\n[^]*?IdentityFile ).*/, `$1${stranger}`),
      );
      const data = await fails("host-2", "host-1", config);
      expect(data).toMatchObject({ code: "ERR_AUTHENTICATION", host: "host-1" });
      expect(data.message).toMatch(/^host-1: its jump host host-2: login as .* refused; tried: .*id_stranger/);
    });

    test("a circle", async () => {
      const config = withConfig("circle", "Host host-2\n  ProxyJump host-3\nHost host-3\n  ProxyJump host-2\n");
      expect((await fails("host-2", "host-1", config)).message).toMatch(/circle: .*host-2 → host-3 → host-2 → host-1/);
    });

    test("the options of the host are not for its hops", async () => {
      const data = await failureOf("host-1", {
        configFile,
        transport,
        connection: { proxyJump: "host-2", user: "nobody-here", password: "secret", identityFile: [] },
      });
      // The hop let us through: it is the host that refuses.
      expect(data.message).toMatch(/^host-1: login as nobody-here refused/);
    });
  });

  test("a hop that forbids it", async () => {
    const strict = await startHosts({ count: 2, sshdConfig: ["AllowTcpForwarding no"] });
    const data = await failureOf("host-1", {
      configFile: strict.configFile,
      transport,
      connection: { proxyJump: "host-2" },
    });
    expect(data.message).toMatch(/its jump host host-2 .*AllowTcpForwarding/);
    await strict.stop();
  });

  test("a hop that dies: the hosts behind it are lost, and the next ones log in anew", async () => {
    const connection = await connect("host-1", { configFile, transport, connection: { proxyJump: "host-2" } });
    const sessions = (await lab.hosts[1]!.sshdProcesses()).filter(({ outerPid }) => outerPid !== lab.hosts[1]!.sshdPid);
    for (const { outerPid } of sessions) process.kill(outerPid, "SIGKILL");
    expect(await connection.closed).toMatchObject({ data: { code: "ERR_CONNECTION", host: "host-1" } });
    await connection.close();
    expect(await whoAmI("host-1", { configFile, transport, connection: { proxyJump: "host-2" } })).toMatch(/@/);
  });

  test("an abort while the hop says nothing leaves nothing", async () => {
    await lab.hosts[3]!.stopSshd();
    const sockets = openSockets();
    for (const ms of [0, 20, 60, 120]) {
      const controller = new AbortController();
      const failing = failureOf("host-1", {
        configFile,
        transport,
        connection: { proxyJump: "host-2,host-3" },
        signal: controller.signal,
      }).catch((error: unknown) => error);
      setTimeout(() => controller.abort(), ms);
      const outcome = await failing;
      if (!(outcome instanceof Error)) expect(outcome).toMatchObject({ code: "ERR_CANCELLED" });
    }
    await vi.waitFor(() => expect(openSockets()).toBeLessThanOrEqual(sockets), { timeout: 3_000 });
    await lab.hosts[3]!.startSshd();
  });

  test("a password of the hop is asked for by its name, once", needsIsolation(), async () => {
    const asking = await startHosts({ count: 2, password: "open sesame", sshdConfig: ["PasswordAuthentication yes"] });
    const config = join(asking.dir, "asking");
    const text = readFileSync(asking.configFile, "utf8");
    writeFileSync(config, text.replace(/(Host host-2\n[^]*?IdentityFile ).*/, "$1none"));
    appendFileSync(config, "");
    const prompt = vi.fn(() => Promise.resolve(["open sesame"]));
    const connections = await Promise.all(
      [1, 2, 3].map(() =>
        connect("host-1", { configFile: config, transport, prompt, connection: { proxyJump: "host-2" } }),
      ),
    );
    expect(prompt).toHaveBeenCalledTimes(1);
    expect(prompt.mock.calls).toMatchObject([[{ kind: "password", host: "host-2", user: lab.hosts[1]!.user }]]);
    await Promise.all(connections.map((connection) => connection.close()));
    await asking.stop();
  });
});
