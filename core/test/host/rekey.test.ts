/** A host that makes new keys within a connection, as sshd does after some bytes or some time (RekeyLimit). */
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import ssh2 from "ssh2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestHosts, makeKey, publicKey, startHosts } from "../hosts";
import { Runtime, RuntimeTask, type Workspace, workspace } from "../support";
import { connect } from "./helpers";

let lab: TestHosts;
let space: Workspace;
beforeAll(async () => {
  lab = await startHosts({ count: 2, sshdConfig: ["RekeyLimit 1M 1s"] });
  space = workspace(lab.configFile);
});
afterAll(async () => {
  await lab.stop();
  space.remove();
});

describe.each([
  ["ssh2", undefined],
  ["ssh2", "host-2"],
  ["openssh", undefined],
  ["openssh", "host-2"],
] as const)("over %s, jump host %s, new keys each second and each MB", (transport, proxyJump) => {
  test("a task that prints, one that is silent, and files both ways go on", async () => {
    const runtime = new Runtime("host-1", {
      transport,
      ...(proxyJump === undefined ? {} : { connection: { proxyJump } }),
    });
    try {
      const silent = runtime.executeTask(new RuntimeTask("silent").runCommand("sleep 2.5; echo done"));
      const local = space.path(`sent-${transport}-${String(proxyJump)}`);
      const bytes = Buffer.from(Array.from({ length: 4_000_000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff));
      writeFileSync(local, bytes);
      const task = new RuntimeTask("busy")
        .runCommand("seq 1 400000")
        .sendFile(local, "file")
        .getFile("file", `${local}-back`);
      await runtime.executeTask(task);
      const lines = readFileSync(task.executionLogFilePath!, "utf8").split("\n");
      expect([lines.length - 1, lines[399_999]]).toEqual([400_000, "400000"]);
      expect(readFileSync(`${local}-back`).equals(bytes)).toBe(true);
      await silent;
      expect(silent.task.executionLog).toEqual(["done\n"]);
    } finally {
      await runtime.close();
    }
  });
});

test("another key than that of the login ends the connection, and says so", async () => {
  const [before, after] = await Promise.all(["before", "after"].map((name) => makeKey(join(lab.dir, name))));
  // An sshd cannot change its keys while somebody is logged in; whoever took its place could.
  let anew = (): void => undefined;
  const server = new ssh2.Server({ hostKeys: [readFileSync(before!)] }, (client) => {
    client.on("error", () => undefined).on("authentication", (login) => login.accept());
    anew = () => {
      const { _protocol } = client as unknown as { _protocol: { _hostKeys: Record<string, unknown> } };
      _protocol._hostKeys["ssh-ed25519"] = ssh2.utils.parseKey(readFileSync(after!));
      client.rekey();
    };
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const { port } = server.address() as AddressInfo;
    const knownHostsFile = join(lab.dir, "taken_over");
    writeFileSync(knownHostsFile, `[127.0.0.1]:${port} ${await publicKey(before!)}\n`);
    const connection = await connect(`me@127.0.0.1:${port}`, {
      configFile: lab.configFile,
      transport: "ssh2",
      connection: { knownHostsFile, identityFile: [], password: "any" },
    });
    anew();
    const failure = await connection.closed;
    expect(failure?.data).toMatchObject({ code: "ERR_HOST_KEY", knownHostsFile });
    expect(failure?.message).toMatch(/HAS CHANGED within the connection.*SHA256:\S+, but logged us in with .*SHA256:/);
    await connection.close();
  } finally {
    server.close();
  }
});
