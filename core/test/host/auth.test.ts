import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import ssh2 from "ssh2";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { PromptRequest } from "../../src/engine/protocol/host-spec";
import { canIsolate, makeKey, must, publicKey, startHosts, type TestHosts, needsIsolation, unless } from "../hosts";
import { connectHost } from "../../src/host/connect";
import { connect, failureOf, specOf, whoAmI } from "./helpers";

const PASSPHRASE = "correct horse";

const answering = (...answers: string[]) => vi.fn((_: PromptRequest) => Promise.resolve([answers.shift() ?? ""]));
const isUser = expect.stringMatching(new RegExp(`^${canIsolate() ? "lctest@host-1" : ""}`)) as string;

describe.each(["ssh2", "openssh"] as const)("over %s", (transport) => {
  let lab: TestHosts;
  let configFile: string;
  /** As the config, without a key. */
  let bare: string;
  let encrypted: string;
  let stranger: string;
  beforeAll(async () => {
    lab = await startHosts({
      user: "ordinary",
      password: "open sesame",
      sshdConfig: ["PasswordAuthentication yes"],
    });
    ({ configFile } = lab);
    bare = join(lab.dir, "bare_config");
    writeFileSync(bare, readFileSync(configFile, "utf8").replace(/IdentityFile .*/g, "IdentityFile none"));
    encrypted = await makeKey(join(lab.dir, "id_encrypted"), { passphrase: PASSPHRASE });
    stranger = await makeKey(join(lab.dir, "id_stranger"));
    appendFileSync(join(lab.hosts[0]!.dir, "authorized_keys"), `${await publicKey(encrypted)}\n`);
  });
  afterAll(() => lab.stop());

  test("an ordinary user logs in with a key", async () => {
    expect(await whoAmI("host-1", { configFile, transport })).toEqual(isUser);
  });

  describe("keys in files", () => {
    test("a key that the host does not accept: what was tried, what the host wants, what to do", async () => {
      const data = await failureOf("host-1", {
        configFile: bare,
        transport,
        connection: { identityFile: [stranger, join(lab.dir, "missing")] },
      });
      expect(data).toMatchObject({ code: "ERR_AUTHENTICATION", host: "host-1" });
      expect(data.message).toMatch(
        /^host-1: login as lctest refused; tried: .*id_stranger; not used: .*missing: missing; the host accepts: publickey, password\. Next: .*authorized_keys/,
      );
    });

    test("an encrypted key: by the option, asking nobody", async () => {
      const prompt = answering();
      expect(
        await whoAmI("host-1", {
          configFile: bare,
          transport,
          connection: { identityFile: encrypted, passphrase: PASSPHRASE },
          prompt,
        }),
      ).toEqual(isUser);
      expect(prompt).not.toHaveBeenCalled();
    });

    test("an encrypted key: by the prompt, the second answer fits", async () => {
      const prompt = answering("wrong", PASSPHRASE);
      expect(
        await whoAmI("host-1", { configFile: bare, transport, connection: { identityFile: encrypted }, prompt }),
      ).toEqual(isUser);
      expect(prompt).toHaveBeenCalledTimes(2);
      expect(prompt.mock.calls[0]![0]).toMatchObject({
        kind: "passphrase",
        host: "host-1",
        prompts: [{ echo: false, text: expect.stringMatching(/id_encrypted/) as string }],
      });
    });

    test("a wrong option, nobody to ask: names file and option", async () => {
      const data = await failureOf("host-1", {
        configFile: bare,
        transport,
        connection: { identityFile: encrypted, passphrase: "wrong" },
      });
      expect(data).toMatchObject({ code: "ERR_AUTHENTICATION" });
      expect(data.message).toMatch(
        /id_encrypted: the option passphrase does not fit.*Next: correct the option passphrase/,
      );
    });

    test("no passphrase, nobody to ask", async () => {
      const data = await failureOf("host-1", { configFile: bare, transport, connection: { identityFile: encrypted } });
      expect(data.message).toMatch(/id_encrypted: encrypted; give its passphrase/);
    });

    test("three wrong answers end it", async () => {
      const prompt = vi.fn(({ kind }: PromptRequest) => Promise.resolve([kind === "passphrase" ? "wrong" : ""]));
      const data = await failureOf("host-1", {
        configFile: bare,
        transport,
        connection: { identityFile: encrypted },
        prompt,
      });
      expect(data.message).toMatch(/no passphrase fitted/);
      expect(prompt.mock.calls.filter(([{ kind }]) => kind === "passphrase")).toHaveLength(3);
    });

    test("a key that the host does not want is never unlocked", async () => {
      const unwanted = await makeKey(join(lab.dir, "id_unwanted"), { passphrase: "x".repeat(8) });
      const prompt = answering();
      await failureOf("host-1", { configFile: bare, transport, connection: { identityFile: unwanted }, prompt });
      expect(prompt.mock.calls.map(([{ kind }]) => kind)).not.toContain("passphrase");
    });

    test("hosts that log in together ask once for the same key", async () => {
      const prompt = vi.fn(() => new Promise<string[]>((resolve) => setTimeout(() => resolve([PASSPHRASE]), 300)));
      const copy = join(lab.dir, "id_copy");
      await makeKey(copy, { passphrase: PASSPHRASE });
      appendFileSync(join(lab.hosts[0]!.dir, "authorized_keys"), `${await publicKey(copy)}\n`);
      await Promise.all(
        Array.from({ length: 4 }, () =>
          whoAmI("host-1", { configFile: bare, transport, connection: { identityFile: copy }, prompt }),
        ),
      );
      expect(prompt).toHaveBeenCalledTimes(1);
    });

    test("a person may take longer than the time limit", async () => {
      const slow = await makeKey(join(lab.dir, "id_slow"), { passphrase: PASSPHRASE });
      appendFileSync(join(lab.hosts[0]!.dir, "authorized_keys"), `${await publicKey(slow)}\n`);
      const prompt = () => new Promise<string[]>((resolve) => setTimeout(() => resolve([PASSPHRASE]), 1_500));
      expect(
        await whoAmI("host-1", {
          configFile: bare,
          transport,
          connection: { identityFile: slow, connectTimeoutMs: 1_400 },
          prompt,
        }),
      ).toEqual(isUser);
    });

    test.each([
      ["rsa", []],
      ["ecdsa", []],
      ["rsa", ["-m", "PEM"]],
    ])("%s %j", async (type, format) => {
      const file = await makeKey(join(lab.dir, `id_${type}_${format.length}`), { type });
      if (format.length > 0) await must("ssh-keygen", ["-q", "-p", "-N", "", "-P", "", ...format, "-f", file]);
      appendFileSync(join(lab.hosts[0]!.dir, "authorized_keys"), `${await publicKey(file)}\n`);
      expect(await whoAmI("host-1", { configFile: bare, transport, connection: { identityFile: file } })).toEqual(
        isUser,
      );
    });

    test("what ssh2 cannot use is named", unless(transport === "openssh" && "of ssh2 alone"), async () => {
      const pkcs8 = await makeKey(join(lab.dir, "id_pkcs8"), { type: "rsa" });
      await must("ssh-keygen", ["-q", "-p", "-N", "", "-P", "", "-m", "PKCS8", "-f", pkcs8]);
      const garbage = join(lab.dir, "id_garbage");
      writeFileSync(garbage, "hello\n");
      const data = await failureOf("host-1", {
        configFile: bare,
        transport,
        connection: { identityFile: [pkcs8, garbage] },
      });
      expect(data.message).toMatch(/tried: nothing.*id_pkcs8: a PKCS#8 key.*id_garbage: not a private key/);
    });
  });

  describe("passwords", needsIsolation(), () => {
    const connection = { identityFile: [] as string[] };

    test("by the option", async () => {
      expect(
        await whoAmI("host-1", { configFile: bare, transport, connection: { ...connection, password: "open sesame" } }),
      ).toEqual(isUser);
    });

    test("by the prompt, after a wrong option", async () => {
      const prompt = answering("wrong too", "open sesame");
      expect(
        await whoAmI("host-1", {
          configFile: bare,
          transport,
          connection: { ...connection, password: "wrong" },
          prompt,
        }),
      ).toEqual(isUser);
      expect(prompt.mock.calls.map(([{ kind }]) => kind)).toEqual(["password", "password"]);
    });

    test("a wrong one is tried once, a wrong answer three times", async () => {
      const data = await failureOf("host-1", {
        configFile: bare,
        transport,
        connection: { ...connection, password: "wrong" },
      });
      expect(data.message).toMatch(/tried: password;.*Next: /);
      const prompt = answering("a", "b", "c", "d");
      await failureOf("host-1", { configFile, transport, connection, prompt });
      expect(prompt).toHaveBeenCalledTimes(3);
    });

    test("a prompt that refuses ends the login", async () => {
      const data = await failureOf("host-1", {
        configFile: bare,
        transport,
        connection,
        prompt: () => Promise.reject(new Error("not today")),
      });
      expect(data).toMatchObject({
        code: "ERR_AUTHENTICATION",
        message: expect.stringMatching(/prompt for a password was refused: not today/) as string,
      });
    });

    test("a prompt that gives nonsense is told so", async () => {
      const data = await failureOf("host-1", {
        configFile: bare,
        transport,
        connection,
        prompt: () => Promise.resolve([] as string[]),
      });
      expect(data.message).toMatch(/must give 1 string/);
    });

    test("both, where the host wants both", async () => {
      const both = await startHosts({
        user: "ordinary",
        password: "second",
        sshdConfig: ["PasswordAuthentication yes", "AuthenticationMethods publickey,password"],
      });
      try {
        expect(
          await whoAmI("host-1", { configFile: both.configFile, transport, connection: { password: "second" } }),
        ).toMatch(/lctest/);
        const data = await failureOf("host-1", { configFile: both.configFile, transport });
        expect(data.message).toMatch(/the host accepts: password/);
      } finally {
        await both.stop();
      }
    });

    test("MaxAuthTries 1: one try, and the host's words", async () => {
      const strict = await startHosts({ user: "ordinary", sshdConfig: ["MaxAuthTries 1"] });
      try {
        const data = await failureOf("host-1", {
          configFile: strict.configFile,
          transport,
          connection: { identityFile: [stranger, strict.identityFile] },
        });
        expect(data).toMatchObject({
          code: "ERR_AUTHENTICATION",
          message: expect.stringMatching(/Too many authentication failures.*IdentitiesOnly/) as string,
        });
        expect(readFileSync(join(strict.hosts[0]!.dir, "sshd.log"), "utf8").match(/Connection from/g)).toHaveLength(2); // and the harness' own
      } finally {
        await strict.stop();
      }
    });
  });

  describe("an ssh agent", () => {
    let agent: ChildProcess;
    let socket: string;
    beforeAll(async () => {
      socket = join(lab.dir, "agent");
      agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: ["ignore", "pipe", "ignore"] });
      await once(agent.stdout!, "data");
      // The files are gone afterwards: only the agent can sign.
      const mine = await makeKey(join(lab.dir, "id_agent"));
      appendFileSync(join(lab.hosts[0]!.dir, "authorized_keys"), `${await publicKey(mine)}\n`);
      process.env["SSH_AUTH_SOCK"] = socket;
      for (const file of [stranger, mine]) await must("ssh-add", ["-q", file]);
      delete process.env["SSH_AUTH_SOCK"];
      copyFileSync(`${mine}.pub`, join(lab.dir, "only.pub"));
      copyFileSync(`${stranger}.pub`, join(lab.dir, "other.pub"));
    });
    afterAll(() => agent.kill());

    const loose = () => {
      const file = join(lab.dir, "loose_config");
      writeFileSync(
        file,
        readFileSync(configFile, "utf8")
          .replace(/IdentitiesOnly yes/g, "IdentitiesOnly no")
          .replace(/IdentityFile .*/g, `IdentityFile ${lab.dir}/nothing`),
      );
      return file;
    };

    test("its keys are tried", async () => {
      expect(await whoAmI("host-1", { configFile: loose(), transport, connection: { agent: socket } })).toEqual(isUser);
    });

    test("SSH_AUTH_SOCK is the default, false is none", async () => {
      process.env["SSH_AUTH_SOCK"] = socket;
      try {
        // `agent` must be absent, not false, for the default.
        const spec = specOf("host-1", { configFile: loose(), transport });
        const { agent: _, ...connection } = spec.connection;
        const context = { signal: new AbortController().signal, prompt: null, log: () => undefined };
        await (await connectHost({ ...spec, connection }, context)).close();
        expect((await failureOf("host-1", { configFile: loose(), transport })).code).toBe("ERR_AUTHENTICATION");
      } finally {
        delete process.env["SSH_AUTH_SOCK"];
      }
    });

    test("IdentitiesOnly: only keys that the config names, by their public half", async () => {
      const data = await failureOf("host-1", {
        configFile: bare,
        transport,
        connection: { agent: socket, identityFile: join(lab.dir, "other.pub") },
      });
      expect(data.message).toMatch(/tried: agent \(1 key\);/);
      expect(
        await whoAmI("host-1", {
          configFile: bare,
          transport,
          connection: { agent: socket, identityFile: join(lab.dir, "only.pub") },
        }),
      ).toEqual(isUser);
    });

    test("one that is dead is no reason to fail", async () => {
      const logs: string[] = [];
      expect(
        await whoAmI("host-1", { configFile, transport, connection: { agent: join(lab.dir, "no-agent") }, logs }),
      ).toEqual(isUser);
      if (transport === "ssh2")
        expect(logs.join("\n")).toMatch(/debug: host-1: not used: ssh agent .*no-agent: not reachable/);
    });

    // ssh itself waits for its agent until the time limit.
    test("one that hangs neither", unless(transport === "openssh" && "of ssh2 alone"), async () => {
      const hanging = createServer(() => undefined).listen(join(lab.dir, "hanging"));
      await once(hanging, "listening");
      expect(
        await whoAmI("host-1", { configFile, transport, connection: { agent: join(lab.dir, "hanging") } }),
      ).toEqual(isUser);
      hanging.close();
    });

    test("one that is locked: its keys are passed over", async () => {
      const locked = join(lab.dir, "locked");
      const other = spawn("ssh-agent", ["-D", "-a", locked], { stdio: ["ignore", "pipe", "ignore"] });
      await once(other.stdout, "data");
      const answer = join(lab.dir, "askpass");
      writeFileSync(answer, "#!/bin/sh\necho secret\n", { mode: 0o700 });
      const env = ["SSH_ASKPASS_REQUIRE=force", `SSH_ASKPASS=${answer}`, `SSH_AUTH_SOCK=${locked}`];
      await must("env", [...env, "ssh-add", "-q", stranger]);
      await must("env", [...env, "ssh-add", "-x"]);
      expect(await whoAmI("host-1", { configFile, transport, connection: { agent: locked } })).toEqual(isUser);
      other.kill();
    });
  });

  describe("keyboard-interactive", () => {
    let port: number;
    let server: ssh2.Server;
    let asked: { prompt: string; echo: boolean }[][];
    let hostKey: string;
    beforeAll(async () => {
      hostKey = await makeKey(join(lab.dir, "fake_host"));
      // OpenSSH asks in this way only with PAM, whose configuration is the machine's.
      server = new ssh2.Server({ hostKeys: [readFileSync(hostKey)] }, (client) => {
        let rounds = 0;
        client
          .on("error", () => undefined)
          .on("authentication", (login) => {
            if (login.method !== "keyboard-interactive") {
              login.reject(["keyboard-interactive"]);
              return;
            }
            const prompts = asked[rounds++ % asked.length]!;
            login.prompt(prompts, "Login", "Say it", (answers) => {
              if (answers.join() !== prompts.map(({ prompt }) => `answer to ${prompt}`).join())
                login.reject(["keyboard-interactive"]);
              else login.accept();
            });
          });
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      ({ port } = server.address() as AddressInfo);
      writeFileSync(join(lab.dir, "fake_known"), `[127.0.0.1]:${port} ${await publicKey(hostKey)}\n`);
    });
    afterAll(() => server.close());

    const attempt = (prompt?: (request: PromptRequest) => Promise<string[]>, password?: string) => ({
      configFile: bare,
      transport,
      connection: {
        knownHostsFile: join(lab.dir, "fake_known"),
        identityFile: [],
        user: "me",
        ...(password === undefined ? {} : { password }),
      },
      ...(prompt ? { prompt } : {}),
    });

    test("questions go to the user, with their texts and echo", async () => {
      asked = [
        [
          { prompt: "Password: ", echo: false },
          { prompt: "Token: ", echo: true },
        ],
      ];
      const prompt = vi.fn((request: PromptRequest) =>
        Promise.resolve(request.prompts.map(({ text }) => `answer to ${text}`)),
      );
      await (await connect(`127.0.0.1:${port}`, attempt(prompt))).close();
      const about = { kind: "keyboard-interactive", user: "me", instructions: "Login\nSay it" };
      const requests = prompt.mock.calls.map(([request]) => request);
      if (transport === "ssh2")
        expect(requests).toMatchObject([
          { ...about, prompts: asked[0]!.map(({ prompt: text, echo }) => ({ text, echo })) },
        ]);
      // OpenSSH asks one by one, and does not tell whether an answer may be seen.
      else {
        const texts = ["Password: ", "Token: "];
        expect(requests).toMatchObject(texts.map((text) => ({ ...about, prompts: [{ text, echo: false }] })));
      }
    });

    test("a single hidden question is answered with the password", async () => {
      asked = [[{ prompt: "Password: ", echo: false }]];
      await (await connect(`127.0.0.1:${port}`, attempt(undefined, "answer to Password: "))).close();
    });

    test("wrong answers: three times, then the end", async () => {
      asked = [[{ prompt: "Password: ", echo: false }]];
      const prompt = answering("1", "2", "3", "4");
      const data = await failureOf(`127.0.0.1:${port}`, attempt(prompt));
      expect(data.message).toMatch(/tried: keyboard-interactive; the host accepts: keyboard-interactive/);
      expect(prompt).toHaveBeenCalledTimes(3);
    });

    test("nobody to ask: says so", async () => {
      expect((await failureOf(`127.0.0.1:${port}`, attempt())).message).toMatch(
        /the host accepts: keyboard-interactive.*Next: give a password or a prompt/,
      );
      asked = [
        [
          { prompt: "Password: ", echo: false },
          { prompt: "Token: ", echo: true },
        ],
      ];
      expect((await failureOf(`127.0.0.1:${port}`, attempt(undefined, "x"))).message).toMatch(
        transport === "ssh2" ? /asks "Password:", "Token:", and nobody can/ : /asks "Token:", and nobody can/,
      );
    });

    test("a refused prompt ends the login", async () => {
      const data = await failureOf(
        `127.0.0.1:${port}`,
        attempt(() => Promise.reject(new Error("no"))),
      );
      expect(data.message).toMatch(/prompt for a keyboard-interactive was refused: no/);
    });
  });
});
