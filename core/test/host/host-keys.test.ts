import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeKey, must, publicKey, startHosts, type TestHosts, needsIsolation } from "../hosts";
import { connect, failureOf } from "./helpers";

/** The same known_hosts means the same to both transports, on a host that has an ed25519 and an RSA key. */
describe("known_hosts on a real host", needsIsolation(), () => {
  const PORT = 2200;
  let lab: TestHosts;
  /** `type base64` */
  let keys: Record<"ED" | "RSA" | "OTHER", string>;
  beforeAll(async () => {
    lab = await startHosts({ sshdConfig: ["Port 22", `Port ${PORT}`] });
    const { dir } = lab.hosts[0]!;
    keys = {
      ED: await publicKey(join(dir, "host_ed25519")),
      RSA: await publicKey(join(dir, "host_rsa")),
      OTHER: await publicKey(await makeKey(join(lab.dir, "other"))),
    };
  });
  afterAll(() => lab.stop());

  let count = 0;
  const write = (content: string): string => {
    const file = join(lab.dir, `known-${count++}`);
    const text = content
      .replace(/KEY_(ED|RSA|OTHER)/g, (_, name: "ED" | "RSA" | "OTHER") => keys[name])
      .replace(/HOST/g, lab.hosts[0]!.address);
    writeFileSync(file, text);
    return file;
  };
  const verdicts = async (knownHostsFile: string, port?: number, configFile = lab.configFile): Promise<string[]> => {
    const connection = { knownHostsFile, ...(port === undefined ? {} : { port }) };
    return Promise.all(
      (["ssh2", "openssh"] as const).map(async (transport) => {
        const failed = await connect("host-1", { configFile, transport, connection }).then(
          (opened) => opened.close(),
          () => failureOf("host-1", { configFile, transport, connection }),
        );
        if (!failed) return "trusted";
        expect(failed.code).toBe("ERR_HOST_KEY");
        return /is not known|HAS CHANGED|is revoked/.exec(failed.message)?.[0] ?? failed.message;
      }),
    );
  };
  const both = (verdict: string): string[] => [verdict, verdict];

  test.each<[string, string, string, number?]>([
    ["plain", "HOST KEY_ED\n", "trusted"],
    ["a list", "other.example,HOST KEY_ED\n", "trusted"],
    ["a wildcard", "10.88.* KEY_ED\n", "trusted"],
    ["one character", "10.88.*.1? KEY_ED\n", "trusted"],
    ["negated", "10.88.*,!HOST KEY_ED\n", "is not known"],
    ["negated, then plain", "10.88.*,!HOST KEY_OTHER\nHOST KEY_ED\n", "trusted"],
    ["only the RSA key", "HOST KEY_RSA\n", "trusted"],
    ["nobody", "", "is not known"],
    ["another host", "10.0.0.1 KEY_ED\n", "is not known"],
    ["changed", "HOST KEY_OTHER\n", "HAS CHANGED"],
    ["two entries, one fits", "HOST KEY_OTHER\nHOST KEY_ED\n", "trusted"],
    ["with a port", `[HOST]:${PORT} KEY_ED\n`, "trusted", PORT],
    ["with another port", `[HOST]:2201 KEY_ED\n`, "is not known", PORT],
    ["with a port, asked without", `[HOST]:${PORT} KEY_ED\n`, "is not known"],
    ["without a port, asked with one", "HOST KEY_ED\n", "trusted", PORT],
    ["a wildcard with a port", `[10.88.*]:${PORT} KEY_ED\n`, "trusted", PORT],
    ["revoked", "HOST KEY_ED\n@revoked HOST KEY_ED\n@revoked HOST KEY_RSA\n", "is revoked"],
    ["revoked for all", "HOST KEY_ED\n@revoked * KEY_ED\n@revoked * KEY_RSA\n", "is revoked"],
    ["another revoked", "@revoked * KEY_OTHER\nHOST KEY_ED\n", "trusted"],
    ["an authority alone is no key", "@cert-authority * KEY_OTHER\n", "is not known"],
    ["bad lines between", "\n# hello\nnonsense\n@what HOST KEY_OTHER\nHOST KEY_ED\n", "trusted"],
    ["a comment behind the key", "HOST KEY_ED me@here\n", "trusted"],
  ])("%s", async (_, content, verdict, port) => {
    expect(await verdicts(write(content), port)).toEqual(both(verdict));
  });

  test("hashed, also with a port", async () => {
    const file = write(`HOST KEY_ED\n[HOST]:${PORT} KEY_OTHER\n`);
    await must("ssh-keygen", ["-q", "-H", "-f", file]);
    expect(readFileSync(file, "utf8")).not.toContain(lab.hosts[0]!.address);
    expect(await verdicts(file)).toEqual(both("trusted"));
    expect(await verdicts(file, PORT)).toEqual(both("HAS CHANGED"));
  });

  test("HostKeyAlias takes the place of the name", async () => {
    const configFile = join(lab.dir, "alias");
    writeFileSync(configFile, `Host host-1\n  HostKeyAlias cluster\n${readFileSync(lab.configFile, "utf8")}`);
    expect(await verdicts(write("cluster KEY_ED\n"), undefined, configFile)).toEqual(both("trusted"));
    expect(await verdicts(write("HOST KEY_ED\n"), undefined, configFile)).toEqual(both("is not known"));
  });
});
