import { once } from "node:events";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { startHosts, type TestHost, type TestHosts, needsIsolation } from "../hosts";
import { connect, failureOf, openSockets, output, whoAmI } from "./helpers";

let lab: TestHosts;
let host: TestHost;
let configFile: string;
beforeAll(async () => {
  lab = await startHosts({ count: 2 });
  host = lab.hosts[0]!;
  ({ configFile } = lab);
});
afterAll(() => lab.stop());

const servers: Server[] = [];
const held = new Set<Socket>();
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  for (const socket of held) socket.destroy();
});

/** Something that is not an sshd. */
async function listen(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    held.add(socket);
    socket.on("error", () => undefined).on("close", () => held.delete(socket));
    onConnection(socket);
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as { port: number }).port;
}

describe.each(["ssh2", "openssh", "local"] as const)("over %s", (transport) => {
  const name = transport === "local" ? "localhost" : "host-1";

  describe("a login", () => {
    test("runs commands, with output, error output and exit status", async () => {
      const connection = await connect(name, { configFile, transport });
      expect(connection).toMatchObject({ host: name, transport });
      const process = await connection.exec("printf out; printf err >&2; exit 7");
      expect(await Promise.all([text(process.stdout), text(process.stderr), process.exited])).toEqual([
        "out",
        "err",
        { code: 7, signal: null },
      ]);
      const killed = await connection.exec("kill -9 $$");
      killed.stdout.resume();
      // OpenSSH's client does not tell the signal.
      expect(await killed.exited).toEqual({ code: null, signal: transport === "openssh" ? null : "SIGKILL" });
      await connection.close();
      await connection.close();
      expect(await connection.closed).toBeNull();
      await expect(connection.exec("true")).rejects.toMatchObject({ data: { code: "ERR_CONNECTION" } });
    });

    test("carries bytes exactly in both directions, and ends the input", async () => {
      const connection = await connect(name, { configFile, transport });
      const process = await connection.exec("cat");
      const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff));
      process.stdin.end(bytes);
      expect((await buffer(process.stdout)).equals(bytes)).toBe(true);
      expect(await process.exited).toEqual({ code: 0, signal: null });
      await connection.close();
    });

    test("a reader that pauses stops the writer", async () => {
      const connection = await connect(name, { configFile, transport });
      const process = await connection.exec("head -c 50000000 /dev/zero; echo done >&2");
      process.stdout.pause();
      const done = vi.fn();
      process.stderr.on("data", done);
      await once(process.stdout, "readable");
      expect(await output(connection, "sleep 0.3; echo other")).toBe("other\n");
      expect(done).not.toHaveBeenCalled();
      expect(process.stdout.readableLength).toBeLessThanOrEqual(4 * 1024 * 1024);
      let size = 0;
      process.stdout.on("data", (chunk: Buffer) => (size += chunk.length)).resume();
      await Promise.all([once(process.stdout, "end"), process.exited]);
      expect(size).toBe(50_000_000);
      await connection.close();
    });

    test("32 at once", async () => {
      const connections = await Promise.all(
        Array.from({ length: 32 }, (_, index) =>
          connect(transport === "local" ? name : `host-${(index % 2) + 1}`, { configFile, transport }),
        ),
      );
      const answers = await Promise.all(connections.map((connection) => output(connection, "echo ok")));
      expect(new Set(answers)).toEqual(new Set(["ok\n"]));
      await Promise.all(connections.map((connection) => connection.close()));
    });

    test("nothing is left open", async () => {
      const before = openSockets();
      const connection = await connect(name, { configFile, transport });
      const process = await connection.exec("cat");
      expect(openSockets()).toBeGreaterThan(before);
      await connection.close();
      await process.exited;
      await vi.waitFor(() => expect(openSockets()).toBeLessThanOrEqual(before));
    });

    test("nothing is left open of a process whose output nobody reads", async () => {
      const open = (): number => readdirSync("/proc/self/fd").length;
      const before = open();
      const connection = await connect(name, { configFile, transport });
      const process = await connection.exec("echo unread; echo unread >&2");
      await process.exited;
      await connection.close();
      await vi.waitFor(() => expect(open()).toBeLessThanOrEqual(before));
    });
  });
});

describe.each(["ssh2", "openssh"] as const)("over %s", (transport) => {
  describe("a login", () => {
    test("names with user and port reach the same host", async () => {
      const name = `${host.user}@${host.address}:${host.port}`;
      const connection = { identityFile: lab.identityFile, knownHostsFile: lab.knownHostsFile };
      expect(await whoAmI(name, { configFile, transport, connection })).toMatch(/^\w+@/);
    });

    test("more sessions than MaxSessions: says so, the connection stays", async () => {
      const connection = await connect("host-1", { configFile, transport });
      const running = await Promise.all(Array.from({ length: 10 }, () => connection.exec("cat")));
      await expect(connection.exec("true")).rejects.toMatchObject({
        data: { code: "ERR_CONNECTION", message: expect.stringMatching(/MaxSessions/) as string },
      });
      running[0]!.stdin.end();
      running[0]!.stdout.resume();
      await running[0]!.exited;
      await vi.waitFor(async () => expect(await output(connection, "echo again")).toBe("again\n"));
      for (const process of running) process.kill();
      await connection.close();
    });
  });

  describe("a host that cannot be reached", () => {
    test("its name is unknown", async () => {
      const data = await failureOf("no-such-host.invalid", { configFile, transport });
      expect(data).toMatchObject({ code: "ERR_CONNECTION", host: "no-such-host.invalid" });
      expect(data.message).toMatch(/"no-such-host.invalid" cannot be resolved/);
    });

    test("its port is closed", async () => {
      const data = await failureOf("127.0.0.1:1", { configFile, transport });
      expect(data).toMatchObject({ code: "ERR_CONNECTION", errno: "ECONNREFUSED" });
      expect(data.message).toMatch(/127\.0\.0\.1:1 refused the connection/);
    });

    test("it accepts and says nothing: the time limit ends that", async () => {
      const port = await listen(() => undefined);
      const before = openSockets();
      const started = performance.now();
      const data = await failureOf(`127.0.0.1:${port}`, {
        configFile,
        transport,
        connection: { connectTimeoutMs: 300 },
      });
      expect(data).toMatchObject({ code: "ERR_CONNECTION", errno: "ETIMEDOUT" });
      expect(data.message).toMatch(/did not finish the ssh handshake within 0.3 s/);
      expect(performance.now() - started).toBeLessThan(3_000);
      await vi.waitFor(() => expect(openSockets()).toBeLessThanOrEqual(before + 1)); // the server's own end
    });

    test("it is not an ssh server", async () => {
      const port = await listen((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
      const data = await failureOf(`127.0.0.1:${port}`, { configFile, transport });
      expect(data.message).toMatch(/is no ssh server: it said "HTTP\/1.1 400 Bad Request"/);
    });

    test("it drops connections unheard: three tries, then the reason", async () => {
      const dropped = vi.fn((socket: Socket) => socket.destroy());
      const port = await listen(dropped);
      const data = await failureOf(`127.0.0.1:${port}`, { configFile, transport });
      expect(dropped).toHaveBeenCalledTimes(3);
      expect(data.message).toMatch(/closed the connection before the ssh handshake, three times.*MaxStartups/);
    });

    test("it locks us out", async () => {
      const dropped = vi.fn((socket: Socket) => socket.end("Not allowed at this time\r\n"));
      const port = await listen(dropped);
      expect((await failureOf(`127.0.0.1:${port}`, { configFile, transport })).message).toMatch(
        /refuses this machine for a while/,
      );
      expect(dropped).toHaveBeenCalledTimes(1);
    });

    test("what cannot be a host is refused", async () => {
      expect(await failureOf("host-1", { configFile, transport, connection: { proxyJump: "-x" } })).toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
      });
      expect(await failureOf("-oProxyCommand=x", { configFile, transport })).toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
      });
    });
  });

  describe("aborting", () => {
    test.each([0, 1, 5, 10, 20, 30, 45])("after %i ms leaves nothing", async (ms) => {
      const before = openSockets();
      const controller = new AbortController();
      const connecting = connect("host-1", { configFile, transport, signal: controller.signal });
      setTimeout(() => controller.abort(), ms);
      const outcome = await connecting.catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toMatchObject({ data: { code: "ERR_CANCELLED", host: "host-1" } });
      else await connecting.then((connection) => connection.close());
      await vi.waitFor(() => expect(openSockets()).toBeLessThanOrEqual(before));
    });

    test("before it begins, and while the host says nothing", async () => {
      expect(await failureOf("host-1", { configFile, transport, signal: AbortSignal.abort() })).toMatchObject({
        code: "ERR_CANCELLED",
      });
      const accepted = vi.fn();
      const port = await listen(accepted);
      const controller = new AbortController();
      const failing = failureOf(`127.0.0.1:${port}`, { configFile, transport, signal: controller.signal });
      await vi.waitFor(() => expect(accepted).toHaveBeenCalled());
      controller.abort();
      expect(await failing).toMatchObject({ code: "ERR_CANCELLED" });
    });
  });

  describe("host keys", () => {
    const knownHosts = (name: string, content: string): string => {
      const file = join(lab.dir, name);
      writeFileSync(file, content);
      return file;
    };
    const current = (): string => readFileSync(lab.knownHostsFile, "utf8");
    test("an unknown host is refused before any login", async () => {
      const file = knownHosts("empty", "");
      const user = `never-heard-of-${transport}`;
      const connection = { knownHostsFile: file, user, password: "secret" };
      const data = await failureOf("host-1", { configFile, transport, connection });
      expect(data).toMatchObject({
        code: "ERR_HOST_KEY",
        knownHostsFile: file,
        fingerprint: expect.stringMatching(/^SHA256:/) as string,
      });
      // Once the host has logged the end of every connection, it has not heard who wanted in.
      const log = await vi.waitFor(() => {
        const text = readFileSync(join(host.dir, "sshd.log"), "utf8");
        const ports = [...text.matchAll(/^Connection from \S+ port (\d+) /gm)].map((match) => match[1]!);
        expect(ports.filter((port) => !new RegExp(`^(?!Connection from).* port ${port}\\b`, "m").test(text))).toEqual(
          [],
        );
        return text;
      });
      expect(log).not.toContain(user);
      await failureOf("host-1", {
        configFile,
        transport,
        connection: { ...connection, knownHostsFile: lab.knownHostsFile },
      });
      await vi.waitFor(() => expect(readFileSync(join(host.dir, "sshd.log"), "utf8")).toContain(user));
    });

    test("accept-new stores it, and then it is known", async () => {
      const file = knownHosts("new", "");
      expect(
        await whoAmI("host-1", {
          configFile,
          transport,
          connection: { knownHostsFile: file, strictHostKeyChecking: "accept-new" },
        }),
      ).toMatch(/@/);
      expect(readFileSync(file, "utf8")).toContain("ssh-ed25519");
      expect(await whoAmI("host-1", { configFile, transport, connection: { knownHostsFile: file } })).toMatch(/@/);
    });

    test("a revoked key is refused, whatever else is known", async () => {
      const revoking = current().replace(/^(?=.)\S+/gm, "@revoked *");
      const file = knownHosts("revoked", current() + revoking);
      const connection = { knownHostsFile: file, strictHostKeyChecking: "accept-new" } as const;
      expect(await failureOf("host-1", { configFile, transport, connection })).toMatchObject({
        code: "ERR_HOST_KEY",
        message: expect.stringMatching(/revoked/) as string,
      });
    });

    test("a host of which only the RSA key is known shows that", async () => {
      const file = knownHosts(
        "rsa",
        current()
          .split("\n")
          .filter((line) => line.includes("ssh-rsa"))
          .join("\n"),
      );
      expect(await whoAmI("host-1", { configFile, transport, connection: { knownHostsFile: file } })).toMatch(/@/);
    });

    test("a host that was installed anew is refused", async () => {
      const fresh = await startHosts();
      try {
        await fresh.hosts[0]!.rotateHostKey();
        for (const strictHostKeyChecking of ["yes", "accept-new"] as const) {
          const data = await failureOf("host-1", {
            configFile: fresh.configFile,
            transport,
            connection: { strictHostKeyChecking },
          });
          expect(data.code).toBe("ERR_HOST_KEY");
          expect(data.message).toMatch(/HAS CHANGED: possible attack/);
        }
      } finally {
        await fresh.stop();
      }
    });
  });

  describe("a connection that ends", () => {
    test("by the host: closed says why, processes end", async () => {
      const connection = await connect("host-1", { configFile, transport });
      const process = await connection.exec("cat");
      const parent = Number(await output(connection, "echo $PPID"));
      const session = (await host.sshdProcesses()).find(({ pid }) => pid === parent);
      globalThis.process.kill(session!.outerPid, "SIGKILL");
      expect(await connection.closed).toMatchObject({ data: { code: "ERR_CONNECTION", host: "host-1" } });
      expect(await process.exited).toEqual({ code: null, signal: null });
      await connection.close();
    });

    test("by the network: noticed within the keepalives", needsIsolation(), async () => {
      const connection = await connect("host-2", { configFile, transport, connection: { keepaliveIntervalMs: 200 } });
      const process = await connection.exec("cat");
      const started = performance.now();
      await lab.hosts[1]!.linkDown();
      try {
        const failure = await connection.closed;
        expect(failure?.data.code).toBe("ERR_CONNECTION");
        // OpenSSH counts in whole seconds.
        expect(failure?.message).toMatch(transport === "ssh2" ? /not answered for 0.8 s/ : /not answered for 4 s/);
        expect(performance.now() - started).toBeLessThan(transport === "ssh2" ? 2_500 : 6_500);
        expect(await process.exited).toEqual({ code: null, signal: null });
      } finally {
        await lab.hosts[1]!.linkUp();
      }
    });

    test("close() does not wait for a host that is gone", needsIsolation(), async () => {
      const connection = await connect("host-2", { configFile, transport, connection: { keepaliveIntervalMs: 0 } });
      await lab.hosts[1]!.linkDown();
      const started = performance.now();
      await connection.close();
      expect(performance.now() - started).toBeLessThan(2_000);
      expect(await connection.closed).toBeNull();
      await lab.hosts[1]!.linkUp();
    });

    test("an sshd that restarts keeps its sessions, and takes new ones", async () => {
      const connection = await connect("host-1", { configFile, transport });
      await host.stopSshd();
      expect(await output(connection, "echo still")).toBe("still\n");
      expect(await failureOf("host-1", { configFile, transport })).toMatchObject({
        code: "ERR_CONNECTION",
        errno: "ECONNREFUSED",
      });
      await host.startSshd();
      expect(await whoAmI("host-1", { configFile, transport })).toMatch(/@/);
      await connection.close();
    });
  });
});

test.each(["ssh2", "openssh"] as const)(
  "over %s, a busy sshd: 20 logins at once come through by trying again",
  async (transport) => {
    const busy = await startHosts({ sshdConfig: ["MaxStartups 1:100:1"] });
    try {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, () => whoAmI("host-1", { configFile: busy.configFile, transport })),
      );
      const failed = outcomes.filter(({ status }) => status === "rejected");
      expect(failed).toEqual([]);
      expect(readFileSync(join(busy.hosts[0]!.dir, "sshd.log"), "utf8")).toMatch(/MaxStartups/);
    } finally {
      await busy.stop();
    }
  },
);
