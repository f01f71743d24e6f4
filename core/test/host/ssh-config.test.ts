import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { EngineFailure } from "../../src/engine/protocol/failure";
import { parseHost } from "../../src/engine/protocol/host-name";
import { readSshConfig, type SshConfig } from "../../src/host/ssh/config";
import { runTool } from "../../src/host/ssh/tool";
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

  describe("the table of OpenSSH's and asyncssh's tests", () => {
    const include = (name: string, text: string): void => writeFileSync(join(dir, name), text);

    test.each<[string, string, string, Partial<SshConfig>]>([
      ["the first value counts", "Port 1\nPort 2", "gpu", { port: 1 }],
      ["also over sections", "Host gpu\n Port 1\nHost *\n Port 2\n User u", "gpu", { port: 1, user: "u" }],
      ["key = value, and quotes", 'Port=7\nUser = "a"', "gpu", { port: 7, user: "a" }],
      ["keywords in any case, comments, blank lines", "# x\n\n  pOrT 7 # y\n", "gpu", { port: 7 }],
      ["CRLF", "Host gpu\r\n  Port 7\r\n", "gpu", { port: 7 }],
      ["wildcards", "Host g*-?\n Port 7", "gpu-1", { port: 7 }],
      ["a wildcard that does not fit", "Host g*-?\n Port 7", "gpu-10", { port: 22 }],
      ["several patterns", "Host a b gpu\n Port 7", "gpu", { port: 7 }],
      ["negated", "Host * !gpu\n Port 7", "gpu", { port: 22 }],
      ["negated, another", "Host * !gpu\n Port 7", "cpu", { port: 7 }],
      ["negated alone matches nothing", "Host !gpu\n Port 7", "cpu", { port: 22 }],
      [
        "patterns are about the name as given",
        "Host 10.0.0.1\n Port 7\nHost gpu\n HostName 10.0.0.1",
        "gpu",
        { port: 22 },
      ],
      [
        "Match host is about the address",
        "Host gpu\n HostName 10.0.0.1\nMatch host 10.0.0.*\n Port 7",
        "gpu",
        { port: 7 },
      ],
      ["Match originalhost", "Host gpu\n HostName x\nMatch originalhost gpu\n Port 7", "gpu", { port: 7 }],
      ["Match user", "Match user bob\n Port 7", "bob@gpu", { port: 7 }],
      ["Match user, another", "Match user bob\n Port 7", "eve@gpu", { port: 22 }],
      ["Match negated", "Match !user bob\n Port 7", "eve@gpu", { port: 7 }],
      ["Match with two conditions", "Match host gpu user bob\n Port 7", "eve@gpu", { port: 22 }],
      ["Match exec", 'Match exec "test %h = gpu"\n Port 7', "gpu", { port: 7 }],
      ["Match exec that fails", "Match exec false\n Port 7", "gpu", { port: 22 }],
      ["Match all", "Match all\n Port 7", "gpu", { port: 7 }],
      [
        "Match final sees the whole config",
        "Match final host 10.0.0.1\n Port 7\nHost gpu\n HostName 10.0.0.1",
        "gpu",
        { port: 7 },
      ],
      ["HostName with a token", "HostName %h.example.org", "gpu", { hostname: "gpu.example.org" }],
      ["HostName with a percent sign", "HostName fe80::1%%eth0", "gpu", { hostname: "fe80::1%eth0" }],
      [
        "tokens in paths",
        "HostName x\nUser u\nPort 7\nIdentityFile /k/%n/%h/%p/%r/%%",
        "gpu",
        { identityFiles: ["/k/gpu/x/7/u/%"] },
      ],
      [
        "tokens of this machine",
        "IdentityFile %d/a\nIdentityFile /%i/%u",
        "gpu",
        { identityFiles: [join(homedir(), "a"), `/${userInfo().uid}/${userInfo().username}`] },
      ],
      [
        "the token of the host key's name",
        "HostKeyAlias k\nUserKnownHostsFile /%k",
        "gpu",
        { userKnownHostsFiles: ["/k"] },
      ],
      ["environment in paths", "IdentityFile ${HOME}/a", "gpu", { identityFiles: [join(homedir(), "a")] }],
      ["identities add up", "IdentityFile /a\nHost *\n IdentityFile /b", "gpu", { identityFiles: ["/a", "/b"] }],
      ["an agent by a variable", "IdentityAgent $LC_TEST_AGENT", "gpu", { identityAgent: "/agent" }],
      ["one jump host", "ProxyJump bastion", "gpu", { proxyJump: "bastion" }],
      ["several, with users and ports", "ProxyJump a@b:23,c,[::1]:24", "gpu", { proxyJump: "a@b:23,c,[::1]:24" }],
      ["as a URI", "ProxyJump ssh://a@b:23", "gpu", { proxyJump: "a@b:23" }],
      ["none", "ProxyJump none\nHost *\n ProxyJump b", "gpu", { proxyJump: null }],
      [
        "ProxyCommand first",
        "ProxyCommand nc %h %p\nProxyJump b",
        "gpu",
        { proxyJump: null, proxyCommand: "nc %h %p" },
      ],
      ["ProxyJump first", "ProxyJump b\nProxyCommand nc %h %p", "gpu", { proxyJump: "b", proxyCommand: null }],
      ["ProxyCommand none", "ProxyCommand none", "gpu", { proxyCommand: null }],
    ])("%s", async (_, config, host, expected) => {
      process.env["LC_TEST_AGENT"] = "/agent";
      expect(await read(config, host)).toMatchObject(expected);
      delete process.env["LC_TEST_AGENT"];
    });

    test("Include: one, a glob in order of names, none, in a section, and one inside another", async () => {
      include("one", "Port 77\n");
      include("part-2", "User second\nPort 2\n");
      include("part-1", "User first\n");
      include("outer", `Include "${dir}/part-*"\n`);
      expect(await read(`Include "${dir}/one"`)).toMatchObject({ port: 77 });
      expect(await read(`Include "${dir}/part-*"`)).toMatchObject({ user: "first", port: 2 });
      expect(await read(`Include "${dir}/nothing-*"\nPort 5`)).toMatchObject({ port: 5 });
      expect(await read(`Host other\n  Include "${dir}/one"`)).toMatchObject({ port: 22 });
      expect(await read(`Match host gpu exec true\n  Include "${dir}/one"`)).toMatchObject({ port: 77 });
      expect(await read(`Include "${dir}/outer"`)).toMatchObject({ user: "first", port: 2 });
      expect(await read(`Include "${dir}/one" "${dir}/part-1"`)).toMatchObject({ user: "first", port: 77 });
    });

    test("Include in a circle ends", async () => {
      include("circle", `Include "${dir}/circle"\n`);
      expect((await failure(read(`Include "${dir}/circle"`))).message).toMatch(/cannot be used: .*Too many recursive/);
    });

    test.each([
      ["a jump host that is its own", "Host *\n  ProxyJump gpu", /jumphost loop/],
      ["a bad jump host", "ProxyJump a@:b", /Invalid ProxyJump/],
      ["a bad port", "Port x", /Bad (number|port)/],
      ["a Match without a condition", "Match", /[Mm]issing Match|Bad Match|no argument|missing argument/i],
      ["quotes that do not end", 'User "a', /quot|missing argument|terminat/i],
    ])("%s is reported", async (_, config, words) => {
      const data = await failure(read(config));
      expect(data.code).toBe("ERR_INVALID_RUNTIME");
      expect(data.message).toMatch(words);
    });
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
