import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  canIsolate,
  makeKey,
  must,
  publicKey,
  startHosts,
  type TestHost,
  type TestHosts,
  needsIsolation,
} from "../hosts";
import { listProcesses } from "../hosts/processes";
import { AgentClient, connectHost, never } from "../support/engine-parts";
import { connect, failureOf, output, specOf, whoAmI } from "./helpers";

const transport = "openssh" as const;
/** As an isolated host sees its own folder. */
const ON_HOST = "/run/host";

let lab: TestHosts;
let host: TestHost;
let configFile: string;
let temporary: string;
beforeAll(async () => {
  lab = await startHosts({
    count: 2,
    sshdConfig: canIsolate()
      ? [`TrustedUserCAKeys ${ON_HOST}/user_ca.pub`, `HostCertificate ${ON_HOST}/host_ed25519-cert.pub`]
      : [],
  });
  host = lab.hosts[0]!;
  ({ configFile } = lab);
  // Of this file alone: others run at the same time.
  temporary = mkdtempSync(join(tmpdir(), "ossh-"));
  process.env["TMPDIR"] = temporary;
});
afterAll(async () => {
  delete process.env["TMPDIR"];
  rmSync(temporary, { recursive: true });
  await lab.stop();
});

let count = 0;
/** The entry of host-1 with other lines: the first value of an option counts. */
function configWith(lines: string, options: { withoutKey?: boolean } = {}): string {
  const file = join(lab.dir, `config-${count++}`);
  const text = readFileSync(configFile, "utf8");
  writeFileSync(
    file,
    `Host host-1\n${lines.replace(/^/gm, "  ")}\n\n${options.withoutKey === true ? text.replace(/IdentityFile .*/g, "") : text}`,
    { mode: 0o600 },
  );
  return file;
}

describe("which transport is taken where none is named", () => {
  const transportOf = async (config: string): Promise<string> => {
    const connection = await connect("host-1", { configFile: config });
    await connection.close();
    return connection.transport;
  };

  test("ssh2; also where GSSAPI is on, as many distributions have it", async () => {
    expect(await transportOf(configFile)).toBe("ssh2");
    expect(await transportOf(configWith("GSSAPIAuthentication yes"))).toBe("ssh2");
    expect((await connect("localhost", { configFile })).transport).toBe("local");
  });

  test.each([
    ["ProxyCommand", () => `ProxyCommand exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3`],
    ["CertificateFile", () => `CertificateFile ${lab.dir}/none-cert.pub`],
    ["RevokedHostKeys", () => `RevokedHostKeys ${lab.dir}/empty`],
    ["PreferredAuthentications", () => `PreferredAuthentications gssapi-with-mic`],
  ])("openssh where the ssh config has %s; ssh2 says so", async (what, lines) => {
    writeFileSync(join(lab.dir, "empty"), "");
    const config = configWith(lines());
    const data = await failureOf("host-1", { configFile: config, transport: "ssh2" });
    expect(data.code).toBe("ERR_INVALID_RUNTIME");
    expect(data.message).toMatch(new RegExp(`"ssh2" cannot do what the ssh config asks for: ${what}.*"openssh"`));
    if (what === "ProxyCommand" || what.startsWith("Preferred")) return;
    expect(await transportOf(config)).toBe("openssh");
  });

  test("openssh where a hop needs it", async () => {
    writeFileSync(join(lab.dir, "empty"), "");
    const config = join(lab.dir, "hop");
    writeFileSync(
      config,
      `Host host-2\n  RevokedHostKeys ${lab.dir}/empty\nHost host-1\n  ProxyJump host-2\n${readFileSync(configFile, "utf8")}`,
    );
    expect(await transportOf(config)).toBe("openssh");
  });

  test("openssh where a key lies on a token, or has a certificate beside it", async () => {
    const key = await makeKey(join(lab.dir, "id_sk"));
    const blob = Buffer.concat(["sk-ssh-ed25519@openssh.com", "x".repeat(32), "ssh:"].flatMap(lengthAndText));
    writeFileSync(`${key}.pub`, `sk-ssh-ed25519@openssh.com ${blob.toString("base64")} token\n`);
    const data = await failureOf("host-1", { configFile, transport: "ssh2", connection: { identityFile: key } });
    expect(data.message).toMatch(/asks for: the hardware key .*id_sk/);
  });
});

function lengthAndText(text: string): Buffer[] {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return [length, Buffer.from(text)];
}

describe("a ProxyCommand", () => {
  const through = (target: string): string =>
    `ProxyCommand ssh -F ${configFile} -W ${target} host-2\nHostName ${host.address}`;

  test("is run as the ssh config says it", async () => {
    const connection = await connect("host-1", { configFile: configWith(through("%h:%p")) });
    expect(connection.transport).toBe("openssh");
    const [from] = (await output(connection, "echo $SSH_CONNECTION")).split(" ");
    if (canIsolate()) expect(from).toBe(lab.hosts[1]!.address);
    await connection.close();
    await vi.waitFor(() => expect(ours()).toEqual([]));
  });

  test("that logs in elsewhere does not get the password of the host", needsIsolation(), async () => {
    const gate = await startHosts({ password: "gate", sshdConfig: ["PasswordAuthentication yes"] });
    const gateConfig = join(gate.dir, "gate");
    writeFileSync(gateConfig, readFileSync(gate.configFile, "utf8").replace(/IdentityFile .*/, "IdentityFile none"));
    // Where the gate ends does not matter: its login comes first.
    const config = configWith(`ProxyCommand ssh -F ${gateConfig} -W localhost:22 host-1`);
    const asked = `${host.user}@${gate.hosts[0]!.address}'s password: `;
    const data = await failureOf("host-1", { configFile: config, connection: { password: "of the host" } });
    expect(data.message).toContain(`asks ${JSON.stringify(asked.trim())}, and nobody can answer`);
    const prompt = vi.fn(() => Promise.reject<string[]>(new Error("no")));
    await failureOf("host-1", { configFile: config, connection: { password: "of the host" }, prompt });
    expect(prompt.mock.calls).toMatchObject([[{ kind: "password", prompts: [{ text: asked }] }]]);
    expect(readFileSync(join(gate.hosts[0]!.dir, "sshd.log"), "utf8")).not.toMatch(/Failed password/);
    await gate.stop();
  });

  test("that fails: its words", async () => {
    const data = await failureOf("host-1", {
      configFile: configWith("ProxyCommand sh -c 'echo the gateway is closed >&2; exit 3'"),
    });
    expect(data).toMatchObject({ code: "ERR_CONNECTION", host: "host-1" });
    expect(data.message).toMatch(/the ProxyCommand of the ssh config ended .*the gateway is closed.*ssh host-1/);
  });

  test("that hangs: the time limit ends it and what it started", async () => {
    const sleeps = () => listProcesses(mentions("sleep\u0000471")).length;
    const started = performance.now();
    const failing = failureOf("host-1", {
      configFile: configWith("ProxyCommand sh -c 'sleep 4711 & sleep 4712'"),
      connection: { connectTimeoutMs: 1_000 },
    });
    await vi.waitFor(() => expect(sleeps()).toBe(2));
    const data = await failing;
    expect(data).toMatchObject({ code: "ERR_CONNECTION", errno: "ETIMEDOUT" });
    expect(performance.now() - started).toBeLessThan(4_000);
    await vi.waitFor(() => expect(sleeps()).toBe(0));
  });
});

describe("certificates", needsIsolation(), () => {
  let userCa: string;
  let hostCa: string;
  let key: string;
  const sign = (ca: string, file: string, ...options: string[]) =>
    must("ssh-keygen", ["-q", "-s", ca, "-I", "test", ...options, `${file}.pub`]);
  const knownHosts = (name: string, text: string): string => {
    const file = join(lab.dir, name);
    writeFileSync(file, text);
    return file;
  };
  beforeAll(async () => {
    userCa = await makeKey(join(lab.dir, "user_ca"));
    hostCa = await makeKey(join(lab.dir, "host_ca"));
    key = await makeKey(join(lab.dir, "id_certified"));
    await sign(userCa, key, "-n", host.user, "-V", "+1h");
    for (const { dir, address } of lab.hosts) {
      copyFileSync(`${userCa}.pub`, join(dir, "user_ca.pub"));
      await sign(hostCa, join(dir, "host_ed25519"), "-h", "-n", address, "-V", "+1h");
    }
    for (const each of lab.hosts) {
      await each.stopSshd();
      await each.startSshd();
    }
  });

  test("of the user, beside the key: found without a word in the config", async () => {
    const connection = await connect("host-1", {
      configFile: configWith(`IdentityFile ${key}`, { withoutKey: true }),
    });
    expect(connection.transport).toBe("openssh");
    await connection.close();
    expect(readFileSync(join(host.dir, "sshd.log"), "utf8")).toMatch(/Accepted publickey .*ED25519-CERT/);
  });

  test("of the user, by CertificateFile", async () => {
    const bare = await makeKey(join(lab.dir, "id_bare"));
    await sign(userCa, bare, "-n", host.user, "-V", "+1h");
    copyFileSync(`${bare}-cert.pub`, join(lab.dir, "elsewhere.pub"));
    await must("rm", [`${bare}-cert.pub`]);
    const lines = `IdentityFile ${bare}\nCertificateFile ${lab.dir}/elsewhere.pub`;
    expect(await whoAmI("host-1", { configFile: configWith(lines, { withoutKey: true }) })).toMatch(
      new RegExp(`^${host.user}@`),
    );
  });

  test("of the user, for somebody else or too old", async () => {
    for (const [name, ...options] of [
      ["other", "-n", "alice", "-V", "+1h"],
      ["old", "-n", host.user, "-V", "20200101:20200102"],
    ]) {
      const file = await makeKey(join(lab.dir, `id_${name!}`));
      await sign(userCa, file, ...options);
      const data = await failureOf("host-1", {
        configFile: configWith(`IdentityFile ${file}`, { withoutKey: true }),
      });
      expect(data).toMatchObject({ code: "ERR_AUTHENTICATION" });
      expect(data.message).toMatch(new RegExp(`login as ${host.user} refused; tried: .*id_(other|old)`));
    }
  });

  test("of the host, by @cert-authority; ssh2 says that it cannot", async () => {
    const knownHostsFile = knownHosts("by_authority", `@cert-authority ${host.address} ${await publicKey(hostCa)}\n`);
    expect(await whoAmI("host-1", { configFile, transport, connection: { knownHostsFile } })).toMatch(
      new RegExp(`^${host.user}@`),
    );
    const data = await failureOf("host-1", { configFile, transport: "ssh2", connection: { knownHostsFile } });
    expect(data.code).toBe("ERR_HOST_KEY");
    expect(data.message).toMatch(/@cert-authority line matches, but .*use the transport "openssh"/);
  });

  test("of the host, of another authority, for another name, or revoked", async () => {
    const stranger = await publicKey(await makeKey(join(lab.dir, "stranger_ca")));
    const good = `@cert-authority * ${await publicKey(hostCa)}\n`;
    for (const text of [
      `@cert-authority * ${stranger}\n`,
      `@cert-authority other.example ${await publicKey(hostCa)}\n`,
      `${good}@revoked * ${await publicKey(hostCa)}\n`,
      `${good}@revoked * ${await publicKey(join(host.dir, "host_ed25519"))}\n`,
    ]) {
      const knownHostsFile = knownHosts("bad_authority", text);
      const data = await failureOf("host-1", { configFile, transport, connection: { knownHostsFile } });
      expect(data).toMatchObject({ code: "ERR_HOST_KEY", host: "host-1" });
    }
    // The name in the certificate is that of host-1.
    copyFileSync(join(host.dir, "host_ed25519-cert.pub"), join(host.dir, "kept"));
    await sign(hostCa, join(host.dir, "host_ed25519"), "-h", "-n", "other.example", "-V", "+1h");
    await host.stopSshd();
    await host.startSshd();
    const knownHostsFile = knownHosts("wrong_name", good);
    const data = await failureOf("host-1", { configFile, transport, connection: { knownHostsFile } });
    expect(data.code).toBe("ERR_HOST_KEY");
    copyFileSync(join(host.dir, "kept"), join(host.dir, "host_ed25519-cert.pub"));
    await host.stopSshd();
    await host.startSshd();
  });
});

describe("host keys by our rules", () => {
  test("StrictHostKeyChecking no stores new keys with a warning, and refuses changed ones", async () => {
    const knownHosts = join(lab.dir, "off");
    const config = configWith(`StrictHostKeyChecking no\nUserKnownHostsFile ${knownHosts}`);
    const logs: string[] = [];
    expect(await whoAmI("host-1", { configFile: config, transport, logs })).toMatch(/@/);
    expect(logs.join("\n")).toMatch(/warn: host-1: StrictHostKeyChecking is off/);
    expect(logs.join("\n")).toMatch(/info: host-1: new host key: Permanently added/);
    const changed = await publicKey(await makeKey(join(lab.dir, "changed")));
    const name = host.port === 22 ? host.address : `[${host.address}]:${host.port}`;
    writeFileSync(knownHosts, `${name} ${changed}\n`);
    const data = await failureOf("host-1", { configFile: config, transport });
    expect(data).toMatchObject({ code: "ERR_HOST_KEY", knownHostsFile: knownHosts });
    expect(data.message).toMatch(/HAS CHANGED: possible attack/);
  });

  test("a file of revoked keys", async () => {
    const revoked = join(lab.dir, "krl");
    const keys = await Promise.all(["host_ed25519", "host_rsa"].map((name) => publicKey(join(host.dir, name))));
    writeFileSync(revoked, keys.map((line) => `${line}\n`).join(""));
    const data = await failureOf("host-1", { configFile: configWith(`RevokedHostKeys ${revoked}`) });
    expect(data).toMatchObject({ code: "ERR_HOST_KEY", knownHostsFile: revoked });
    expect(data.message).toMatch(/is revoked by /);
  });
});

test("paths with spaces and percent signs are data", async () => {
  const dir = mkdtempSync(join(lab.dir, "a %h b "));
  const identityFile = join(dir, "my key");
  const knownHostsFile = join(dir, "known %p hosts");
  copyFileSync(lab.identityFile, identityFile);
  copyFileSync(`${lab.identityFile}.pub`, `${identityFile}.pub`);
  copyFileSync(lab.knownHostsFile, knownHostsFile);
  const config = configWith("", { withoutKey: true });
  expect(
    await whoAmI("host-1", { configFile: config, transport, connection: { identityFile, knownHostsFile } }),
  ).toMatch(/@/);
  const data = await failureOf("host-1", { configFile, transport, connection: { identityFile: `${dir}/"x` } });
  expect(data).toMatchObject({ code: "ERR_INVALID_ARGUMENT", host: "host-1" });
});

test("what the ssh config forwards, runs or shares is left out", async () => {
  const config = configWith(
    `LocalForward 127.0.0.1:1 127.0.0.1:1\nExitOnForwardFailure yes\nRemoteCommand false\nRequestTTY force\nPermitLocalCommand yes\nLocalCommand touch ${lab.dir}/ran\nControlMaster auto\nControlPath ${lab.dir}/mux\nControlPersist 60\nForkAfterAuthentication yes\nLogLevel QUIET\nBatchMode yes`,
  );
  expect(await whoAmI("host-1", { configFile: config, transport })).toMatch(/@/);
  expect([existsSync(join(lab.dir, "ran")), existsSync(join(lab.dir, "mux"))]).toEqual([false, false]);
});

test("an agent runs over it, and its end ends everything", async () => {
  const spec = specOf("host-1", { configFile, transport });
  const connection = await connectHost(spec, { signal: never, prompt: null, log: () => undefined });
  const agent = await AgentClient.start(connection, spec, never);
  expect(agent.info.system).toBe("Linux");
  expect(ours().length).toBeGreaterThan(0);
  await agent.close();
  expect(ours()).toEqual([]);
  expect(folders()).toEqual([]);
  await vi.waitFor(async () => expect(await host.processes()).toEqual([]), { timeout: 3_000 });
});

test("a manager that is killed leaves neither ssh, nor a folder, nor a login", async () => {
  const script = `
    const { connectHost } = require(${JSON.stringify(join(__dirname, "..", "..", "dist", "host", "connect.js"))});
    const spec = JSON.parse(process.env.SPEC);
    connectHost(spec, { signal: new AbortController().signal, prompt: null, log() {} }).then(async (connection) => {
      const held = await connection.exec("cat");
      console.log("up");
    });`;
  const env = { ...process.env, SPEC: JSON.stringify(specOf("host-1", { configFile, transport })) };
  const child = spawn(process.execPath, ["-e", script], { env, stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  expect(ours().length).toBeGreaterThan(0);
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
  await vi.waitFor(
    async () => {
      expect(ours()).toEqual([]);
      expect(folders()).toEqual([]);
      expect((await host.sshdProcesses()).length).toBe(1);
    },
    { timeout: 2_000 },
  );
});

test("no ssh on this machine: says what to install", async () => {
  const path = process.env["PATH"];
  process.env["PATH"] = lab.dir;
  try {
    expect((await failureOf("host-1", { configFile, transport })).message).toMatch(/Install the OpenSSH client/);
  } finally {
    process.env["PATH"] = path;
  }
});

/** Processes on this machine whose command line has the folder of this test file. */
function ours(): string[] {
  return listProcesses(mentions(temporary)).map(({ args }) => args);
}

function mentions(text: string): (proc: string) => boolean {
  return (proc) => readFileSync(`${proc}/cmdline`, "utf8").includes(text);
}

function folders(): string[] {
  return readdirSync(temporary);
}
