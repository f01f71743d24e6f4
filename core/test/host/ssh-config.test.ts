import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { EngineFailure } from "../../src/engine/protocol/failure";
import { parseHost } from "../../src/engine/protocol/host-name";
import { readSshConfig, type SshConfig } from "../../src/host/ssh-config";
import { runTool } from "../../src/host/tool";
import { specOf } from "./helpers";

const dir = mkdtempSync(join(tmpdir(), "ssh config "));
afterAll(() => rmSync(dir, { recursive: true }));

let count = 0;
function read(config: string, host = "gpu", connection = {}): Promise<SshConfig> {
  const configFile = join(dir, `config-${count++}`);
  writeFileSync(configFile, config);
  return readSshConfig(specOf(host, { configFile, connection }), parseHost(host), new AbortController().signal);
}

async function failure(reading: Promise<unknown>): Promise<EngineFailure["data"]> {
  const error = await reading.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EngineFailure);
  return (error as EngineFailure).data;
}

describe("ssh -G", () => {
  test("defaults", async () => {
    const config = await read("");
    expect(config).toMatchObject({
      hostname: "gpu",
      port: 22,
      hostKeyPolicy: "yes",
      connectTimeoutMs: null,
      serverAliveIntervalMs: null,
      proxyJump: null,
      proxyCommand: null,
      identitiesOnly: false,
      identityAgent: undefined,
      hostKeyAlias: null,
      addressFamily: 0,
      bindAddress: null,
      methods: { publickey: true, password: true, keyboardInteractive: true },
    });
    expect(config.identityFiles).toContain(join(homedir(), ".ssh/id_ed25519"));
    expect(config.hostKeyAlgorithms).toContain("ssh-ed25519");
  });

  test("every value that we use", async () => {
    const config = await read(`
Host gpu
  HostName 10.0.0.7
  Port 2200
  User alice
  AddressFamily inet6
  BindAddress 127.0.0.1
  ConnectTimeout 7
  ServerAliveInterval 9
  HostKeyAlias cluster
  StrictHostKeyChecking accept-new
  HashKnownHosts yes
  UserKnownHostsFile "${dir}/a b" ~/%n-%h
  GlobalKnownHostsFile none
  IdentityFile ~/key-%r-%p
  IdentityFile "${dir}/k k"
  IdentitiesOnly yes
  IdentityAgent none
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  PubkeyAuthentication no
  PreferredAuthentications password,publickey
  ProxyJump jump:22
`);
    expect(config).toMatchObject({
      hostname: "10.0.0.7",
      port: 2200,
      user: "alice",
      addressFamily: 6,
      bindAddress: "127.0.0.1",
      connectTimeoutMs: 7000,
      serverAliveIntervalMs: 9000,
      hostKeyAlias: "cluster",
      hostKeyPolicy: "accept-new",
      hashKnownHosts: true,
      globalKnownHostsFiles: [],
      identityFiles: [join(homedir(), "key-alice-2200"), join(dir, "k k")],
      identitiesOnly: true,
      identityAgent: null,
      methods: { publickey: false, password: false, keyboardInteractive: false },
      preferredMethods: ["password", "publickey"],
      proxyJump: "jump:22",
    });
  });

  test("a known_hosts path with a space is one path when it exists", async () => {
    writeFileSync(join(dir, "known hosts"), "");
    const config = await read(`UserKnownHostsFile "${dir}/known hosts" /tmp/other`);
    expect(config.userKnownHostsFiles).toEqual([join(dir, "known hosts"), "/tmp/other"]);
  });

  test("what the name says wins over the config, an option over both", async () => {
    expect(await read("Port 1\nUser a", "b@gpu:2")).toMatchObject({ user: "b", port: 2 });
    expect(await read("Port 1\nUser a", "b@gpu:2", { user: "c", port: 3 })).toMatchObject({ user: "c", port: 3 });
  });

  test.each([
    ["no", "no"],
    ["off", "no"],
    ["ask", "yes"],
    ["yes", "yes"],
  ])("StrictHostKeyChecking %s is %s", async (value, policy) => {
    expect((await read(`StrictHostKeyChecking ${value}`)).hostKeyPolicy).toBe(policy);
  });

  test("Match and Include are OpenSSH's business", async () => {
    writeFileSync(join(dir, "more"), "Match host gpu exec true\n  Port 77\n");
    expect((await read(`Include "${dir}/more"`)).port).toBe(77);
  });

  test("a bad line is reported in ssh's words", async () => {
    const data = await failure(read("Host gpu\n  Prot 22\n"));
    expect(data.code).toBe("ERR_INVALID_RUNTIME");
    expect(data.message).toMatch(/gpu: the ssh config cannot be used: .*line 2: Bad configuration option: prot/);
  });

  test("a missing file is reported", async () => {
    const spec = specOf("gpu", { configFile: join(dir, "none") });
    const data = await failure(readSshConfig(spec, parseHost("gpu"), new AbortController().signal));
    expect(data.message).toMatch(/none: No such file/);
  });

  test("a HostName that is an option is refused", async () => {
    const data = await failure(read("Host gpu\n  HostName -oProxyCommand=id\n"));
    expect(data.code).toBe("ERR_INVALID_RUNTIME");
  });

  test("no ssh on this machine: says what to install", async () => {
    const path = process.env["PATH"];
    process.env["PATH"] = dir;
    try {
      expect((await failure(read(""))).message).toMatch(/Install the OpenSSH client/);
    } finally {
      process.env["PATH"] = path;
    }
  });
});

describe("runTool", () => {
  test("ends what takes too long, with its children's pipes", async () => {
    const started = performance.now();
    const result = await runTool("sh", ["-c", "sleep 20 & sleep 20"], {
      signal: new AbortController().signal,
      timeoutMs: 50,
    });
    expect(result).toMatchObject({ timedOut: true, code: null });
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
