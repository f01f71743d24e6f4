import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fingerprint, HostKeyVerifier, keyType, type HostKeySettings } from "../../src/host/ssh/host-key";
import { knownHostsName, lookUpKnownHosts } from "../../src/host/ssh/known-hosts";
import { storeKnownHost } from "../../src/host/ssh/known-hosts-store";
import { makeKey, must, needsOrdinaryUser, publicKey } from "../hosts";

const dir = mkdtempSync(join(tmpdir(), "known hosts "));
const { signal } = new AbortController();
/** `type base64` */
const keys: Record<"a" | "b" | "rsa", string> = { a: "", b: "", rsa: "" };
const blobOf = (line: string): Buffer => Buffer.from(line.split(" ")[1]!, "base64");

beforeAll(async () => {
  for (const name of ["a", "b", "rsa"] as const) {
    keys[name] = await publicKey(await makeKey(join(dir, name), { type: name === "rsa" ? "rsa" : "ed25519" }));
  }
});
afterAll(() => rmSync(dir, { recursive: true }));

let count = 0;
function file(content: string): string {
  const path = join(dir, `known_${count++}`);
  writeFileSync(
    path,
    content.replace(/KEY_(a|b|rsa)/g, (_, name: "a" | "b" | "rsa") => keys[name]),
  );
  return path;
}

interface Case {
  readonly files: readonly string[];
  readonly address?: string;
  readonly port?: number;
  readonly shows?: "a" | "b" | "rsa";
  readonly settings?: Partial<HostKeySettings>;
  readonly logs?: string[];
}

function verifierOf({ files, address = "gpu", port = 22, settings = {}, logs = [] }: Case): HostKeyVerifier {
  return new HostKeyVerifier(
    { host: "alias", address, port, user: "me" },
    {
      policy: "yes",
      userFiles: files,
      globalFiles: [],
      hostKeyAlias: null,
      algorithms: [],
      hashNames: false,
      ...settings,
    },
    (level, message) => logs.push(`${level}: ${message}`),
  );
}

/** Null: trusted. */
async function verdict(given: Case): Promise<string | null> {
  const verifier = verifierOf(given);
  await verifier.prepare(signal);
  const failure = await verifier.verify(blobOf(keys[given.shows ?? "a"]), signal);
  if (failure) expect(failure.data.code).toBe("ERR_HOST_KEY");
  return failure?.message ?? null;
}

describe("which entries count", () => {
  test.each<[string, string, Partial<Case>, RegExp | null]>([
    ["plain", "gpu KEY_a\n", {}, null],
    ["list", "x,gpu KEY_a\n", {}, null],
    ["wildcard", "g*u KEY_a\n", {}, null],
    ["negated", "g*,!gpu KEY_a\n", {}, /is not known/],
    ["other case", "GPU KEY_a\n", { address: "Gpu" }, null],
    ["comment, blank and bad lines", "# hello\n\nbad line\ngpu KEY_a me@x\n", {}, null],
    ["no newline at the end", "gpu KEY_a", {}, null],
    ["CRLF", "gpu KEY_a\r\n", {}, null],
    ["port", "[gpu]:2200 KEY_a\n", { port: 2200 }, null],
    ["entry without the port vouches for the same key", "gpu KEY_a\n", { port: 2200 }, null],
    [
      "entry without the port does not speak against another",
      "gpu KEY_a\n",
      { port: 2200, shows: "b" },
      /is not known/,
    ],
    [
      "entry without the port does not vouch where the port has another",
      "gpu KEY_a\n[gpu]:2200 KEY_b\n",
      { port: 2200 },
      /HAS CHANGED/,
    ],
    ["entry of another port", "[gpu]:2201 KEY_a\n", { port: 2200 }, /is not known/],
    ["entry with a port, asked without", "[gpu]:2200 KEY_a\n", {}, /is not known/],
    ["ipv6 with port", "[::1]:2200 KEY_a\n", { address: "::1", port: 2200 }, null],
    ["two keys, second shown", "gpu KEY_a\ngpu KEY_b\n", { shows: "b" }, null],
    ["another type too", "gpu KEY_rsa\ngpu KEY_a\n", {}, null],
    ["nothing", "", {}, /is not known/],
    ["changed", "gpu KEY_b\n", {}, /HAS CHANGED/],
    ["only another type known", "gpu KEY_rsa\n", {}, /HAS CHANGED/],
    ["revoked", "@revoked gpu KEY_a\n", {}, /revoked/],
    ["revoked for all hosts, though known", "gpu KEY_a\n@revoked * KEY_a\n", {}, /revoked/],
    ["another key revoked", "@revoked gpu KEY_b\ngpu KEY_a\n", {}, null],
    ["revoked without the port", "@revoked gpu KEY_a\n", { port: 2200 }, /revoked/],
    ["certificate authority", "@cert-authority gpu KEY_a\n", {}, /does not support host certificates/],
    ["HostKeyAlias", "cluster KEY_a\n", { settings: { hostKeyAlias: "Cluster" }, port: 2200 }, null],
    ["HostKeyAlias, not the name", "gpu KEY_a\n", { settings: { hostKeyAlias: "cluster" } }, /is not known/],
  ])("%s", async (_, content, given, expected) => {
    const message = await verdict({ files: [file(content)], ...given });
    if (expected === null) expect(message).toBeNull();
    else expect(message).toMatch(expected);
  });

  test("hashed names", async () => {
    const path = file("gpu KEY_a\n[gpu]:2200 KEY_b\n");
    await must("ssh-keygen", ["-q", "-H", "-f", path]);
    expect(readFileSync(path, "utf8")).not.toContain("gpu");
    expect(await verdict({ files: [path] })).toBeNull();
    expect(await verdict({ files: [path], port: 2200, shows: "b" })).toBeNull();
    expect(await verdict({ files: [path], shows: "b" })).toMatch(/HAS CHANGED/);
  });

  test("several files: any may know, any may revoke, missing ones are empty", async () => {
    const [known, empty, revoking] = [file("gpu KEY_a\n"), file(""), file("@revoked gpu KEY_a\n")];
    expect(await verdict({ files: [join(dir, "missing"), empty, known, "/dev/null"] })).toBeNull();
    expect(await verdict({ files: [empty], settings: { globalFiles: [known] } })).toBeNull();
    expect(await verdict({ files: [known], settings: { globalFiles: [revoking] } })).toMatch(/revoked/);
  });
});

describe("what cannot be read is not trusted", () => {
  test("a directory", async () => {
    await expect(verdict({ files: [dir] })).rejects.toThrow(/cannot be read: it is not a file/);
  });

  test("a path through a file", async () => {
    await expect(verdict({ files: [join(file("x"), "y")] })).rejects.toMatchObject({ data: { code: "ERR_HOST_KEY" } });
  });

  test("a file of somebody else", needsOrdinaryUser(), async () => {
    const path = file("gpu KEY_a\n");
    chmodSync(path, 0);
    await expect(verdict({ files: [path] })).rejects.toThrow(/permission denied/);
  });

  test("no ssh-keygen", async () => {
    const path = process.env["PATH"];
    process.env["PATH"] = dir;
    try {
      await expect(verdict({ files: [file("gpu KEY_a\n")] })).rejects.toThrow(
        /ssh-keygen, which reads it, does not start/,
      );
    } finally {
      process.env["PATH"] = path;
    }
  });
});

describe("what the user is told", () => {
  test("unknown: type, fingerprint, file, next step", async () => {
    const path = file("");
    const message = await verdict({ files: [path], address: "10.0.0.7", port: 2200 });
    expect(message).toContain(
      `alias: the host at 10.0.0.7:2200 is not known: its key ssh-ed25519 ${fingerprint(blobOf(keys.a))} is not in ${path}`,
    );
    expect(message).toContain(`ssh-keyscan -t ed25519 -p 2200 10.0.0.7 >> ${path}`);
    expect(message).toContain('"accept-new"');
  });

  test("changed: both fingerprints, file:line, how to remove", async () => {
    const path = file("# first\ngpu KEY_b\n");
    const message = await verdict({ files: [path] });
    for (const part of [
      fingerprint(blobOf(keys.a)),
      fingerprint(blobOf(keys.b)),
      `${path}:2`,
      "possible attack",
      `ssh-keygen -R 'gpu' -f '${path}'`,
    ]) {
      expect(message).toContain(part);
    }
  });

  test("fingerprints are those of ssh-keygen", async () => {
    expect(await must("ssh-keygen", ["-lf", join(dir, "a.pub")])).toContain(fingerprint(blobOf(keys.a)));
    expect(keyType(blobOf(keys.rsa))).toBe("ssh-rsa");
    expect(keyType(Buffer.from([0, 0, 0, 200, 1]))).toBe("unknown");
  });
});

describe("algorithms to offer", () => {
  test("those of known keys come first", async () => {
    expect((await verifierOf({ files: [file("gpu KEY_rsa\n")] }).prepare(signal)).slice(0, 4)).toEqual([
      "rsa-sha2-512",
      "rsa-sha2-256",
      "ssh-rsa",
      "ssh-ed25519",
    ]);
    expect((await verifierOf({ files: [file("gpu KEY_a\n")] }).prepare(signal))[0]).toBe("ssh-ed25519");
  });

  test("only what the ssh config allows", async () => {
    const settings = { algorithms: ["rsa-sha2-256", "ssh-ed25519"] };
    expect(await verifierOf({ files: [file("gpu KEY_rsa\n")], settings }).prepare(signal)).toEqual([
      "rsa-sha2-256",
      "ssh-ed25519",
    ]);
    await expect(verifierOf({ files: [], settings: { algorithms: ["x"] } }).prepare(signal)).rejects.toMatchObject({
      data: { code: "ERR_INVALID_RUNTIME" },
    });
  });
});

describe("accept-new", () => {
  const accepting = { policy: "accept-new" } as const;

  test("stores a new key, which then is known", async () => {
    const path = join(dir, "new", "known_hosts");
    expect(await verdict({ files: [path], port: 2200, settings: accepting })).toBeNull();
    expect(readFileSync(path, "utf8")).toBe(`[gpu]:2200 ${keys.a}\n`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, "new")).mode & 0o777).toBe(0o700);
    expect(await verdict({ files: [path], port: 2200 })).toBeNull();
    expect(await verdict({ files: [path], port: 2200, shows: "b", settings: accepting })).toMatch(/HAS CHANGED/);
  });

  test("hashes the name where the config wants it", async () => {
    const path = join(dir, "hashed");
    expect(await verdict({ files: [path], settings: { ...accepting, hashNames: true } })).toBeNull();
    expect(readFileSync(path, "utf8")).toMatch(/^\|1\|[^|]+=\|[^|]+= ssh-ed25519 /);
    expect(await verdict({ files: [path] })).toBeNull();
  });

  test("an open last line stays whole", async () => {
    const path = file("other KEY_b");
    expect(await verdict({ files: [path], settings: accepting })).toBeNull();
    expect(readFileSync(path, "utf8")).toBe(`other ${keys.b}\ngpu ${keys.a}\n`);
  });

  test("many at once do not mix", async () => {
    const path = join(dir, "many");
    const names = Array.from({ length: 50 }, (_, index) => `host-${index}`);
    await Promise.all(
      names.map((name) => storeKnownHost(path, { name, type: "ssh-ed25519", blob: blobOf(keys.a), hashed: false })),
    );
    const lines = readFileSync(path, "utf8").trim().split("\n");
    expect(lines.map((line) => line.split(" ")[0]).sort()).toEqual(names.sort());
  });

  test("revoked stays refused", async () => {
    expect(await verdict({ files: [file("@revoked gpu KEY_a\n")], settings: accepting })).toMatch(/revoked/);
  });

  test("a file that cannot be written is a warning", async () => {
    const logs: string[] = [];
    const path = join("/proc", "nothing", "known_hosts");
    expect(await verdict({ files: [path], settings: accepting, logs })).toBeNull();
    expect(logs.join()).toMatch(/warn: .*accepted, but not stored/);
  });

  test("StrictHostKeyChecking no accepts, stores and warns", async () => {
    const logs: string[] = [];
    const path = join(dir, "off");
    expect(await verdict({ files: [path], settings: { policy: "no" }, logs })).toBeNull();
    expect(logs.join()).toMatch(/warn: .*StrictHostKeyChecking is off/);
    expect(await verdict({ files: [path], shows: "b", settings: { policy: "no" } })).toMatch(/HAS CHANGED/);
  });
});

test("names of hosts on other ports", async () => {
  expect(knownHostsName("GPU", 22)).toBe("gpu");
  expect(knownHostsName("::1", 2200)).toBe("[::1]:2200");
  expect(await lookUpKnownHosts("gpu", [], signal)).toEqual([]);
});
