/** add-runtime and delete-runtime: processes of their own, an ssh config of their own, ssh itself as the judge. */
import { spawnSync } from "child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";

const PROGRAM = join(__dirname, "..", "..", "bin", "lazycluster.js");
const root = mkdtempSync(join(tmpdir(), "lc-ssh-config-"));
let folder: string;
let config: string;
let count = 0;

beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
  config = join(folder, "config");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function lazycluster(...args: string[]): { code: number | null; out: string } {
  const env = { ...process.env, HOME: folder, LAZYCLUSTER_SSH_CONFIG: "", LAZYCLUSTER_STATE_DIR: folder };
  const ended = spawnSync(process.execPath, [PROGRAM, ...args], { encoding: "utf8", env, timeout: 20_000 });
  return { code: ended.status, out: ended.stdout + ended.stderr };
}

/** What ssh makes of the host. */
function asked(host: string, option: string): string | undefined {
  const { stdout } = spawnSync("ssh", ["-F", config, "-G", "--", host], { encoding: "utf8" });
  return new RegExp(`^${option} (.*)$`, "m").exec(stdout)?.[1];
}

describe("lazycluster add-runtime", () => {
  test("writes a host that ssh understands, before what holds for all", () => {
    writeFileSync(config, "# all\nHost *\n  User general\n", { mode: 0o640 });
    chmodSync(config, 0o640);
    const key = join(folder, "my key");
    writeFileSync(key, "");
    const args = ["--id_file", key, "-o", "ConnectTimeout=7", "-o", "SetEnv A=1 B=2", "--config", config];
    expect(lazycluster("add-runtime", "new", "me@10.0.0.1:2222", ...args)).toMatchObject({ code: 0 });
    expect(asked("new", "hostname")).toBe("10.0.0.1");
    expect(asked("new", "user")).toBe("me");
    expect(asked("new", "port")).toBe("2222");
    expect(asked("new", "identityfile")).toBe(key);
    expect(asked("new", "connecttimeout")).toBe("7");
    expect(readFileSync(config, "utf8")).toMatch(/\n\n# all\nHost \*\n {2}User general\n$/);
    expect(statSync(config).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder).sort()).toEqual(["config", "my key"]);
  });

  test("makes a config that only its owner can read where there was none, and keeps a link", () => {
    expect(lazycluster("add-runtime", "first", "root@localhost:22").code).toBe(0);
    const own = join(folder, ".ssh", "config");
    expect(statSync(own).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, ".ssh")).mode & 0o777).toBe(0o700);
    symlinkSync(own, config);
    expect(lazycluster("add-runtime", "second", "[::1]:23", "--config", config).code).toBe(0);
    expect(lstatSync(config).isSymbolicLink()).toBe(true);
    expect(asked("first", "user")).toBe("root");
    expect(asked("second", "hostname")).toBe("::1");
  });

  test("refuses a name that exists, also in an included file", () => {
    mkdirSync(join(folder, ".ssh", "conf.d"), { recursive: true });
    writeFileSync(config, "Include conf.d/*\n");
    writeFileSync(join(folder, ".ssh", "conf.d", "one"), "Host taken\n");
    const { code, out } = lazycluster("add-runtime", "taken", "host", "--config", config);
    expect({ code, out }).toMatchObject({ code: 1, out: expect.stringContaining("taken already") as string });
    expect(readFileSync(config, "utf8")).toBe("Include conf.d/*\n");
  });

  test.each([
    ["a name with a pattern", "a*", "host"],
    ["a name with a newline", "a\nHost b", "host"],
    ["a name like an option", "a b", "host"],
    ["a name with a user", "me@a", "host"],
    ["an address with a newline", "a", "host\nProxyCommand touch x"],
    ["an address like an option", "a", "-oProxyCommand=x"],
    ["a port that is none", "a", "host:99999"],
    ["an option with a newline", "a", "host", "-o", "User=x\nProxyCommand touch x"],
    ["an option that begins an entry", "a", "host", "-o", "Host=*"],
    ["an option that is none", "a", "host", "-o", "ProxyJump"],
    ["a key file that is not there", "a", "host", "-i", "no-such-key"],
  ])("refuses %s, and writes nothing", (_what, name, address, ...more) => {
    const { code } = lazycluster("add-runtime", ...more, "--config", config, "--", name, address);
    expect(code).toBe(2);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("lazycluster delete-runtime", () => {
  test("removes what add-runtime wrote, and nothing else", () => {
    const text = "# top\nHost a  # one\n  Port 1\n\n# all\nHost *\n  SomeNewOption x\n";
    writeFileSync(config, text);
    expect(lazycluster("add-runtime", "new", "me@10.0.0.1", "--config", config).code).toBe(0);
    expect(readFileSync(config, "utf8")).not.toBe(text);
    expect(lazycluster("delete-runtime", "new", "--config", config).code).toBe(0);
    expect(readFileSync(config, "utf8")).toBe(text);
  });

  test("keeps bytes that are no UTF-8, as add-runtime does", () => {
    const bytes = Buffer.from("# caf\xe9\nHost a b # \xff a\n  Port 1\n\nHost *\n  Port 2\n", "latin1");
    writeFileSync(config, bytes);
    expect(lazycluster("add-runtime", "-o", "SetEnv=A=ü", "new", "me@10.0.0.1", "--config", config)).toMatchObject({
      code: 0,
    });
    expect(readFileSync(config, "latin1")).toContain("# caf\xe9\nHost a b # \xff a\n  Port 1\n\n");
    expect(readFileSync(config, "utf8")).toContain("SetEnv A=ü\n");
    expect(lazycluster("delete-runtime", "new", "--config", config).code).toBe(0);
    expect(readFileSync(config)).toEqual(bytes);
    expect(lazycluster("delete-runtime", "a", "--config", config).code).toBe(0);
    expect(readFileSync(config, "latin1")).toBe(bytes.toString("latin1").replace("Host a b", "Host b"));
  });

  test("finds it in an included file", () => {
    mkdirSync(join(folder, ".ssh"));
    const included = join(folder, ".ssh", "more");
    writeFileSync(included, "# kept\nHost x y\n  Port 2\n");
    writeFileSync(config, "Include more\n");
    expect(lazycluster("delete-runtime", "x", "--config", config).code).toBe(0);
    expect(readFileSync(included, "utf8")).toBe("# kept\nHost y\n  Port 2\n");
  });

  test("says so when there is no such host, or a program cannot do it", () => {
    writeFileSync(config, "Host a\n  Include more\n");
    expect(lazycluster("delete-runtime", "b", "--config", config)).toMatchObject({ code: 1 });
    const { code, out } = lazycluster("delete-runtime", "a", "--config", config);
    expect({ code, out }).toMatchObject({ code: 1, out: expect.stringContaining("by hand") as string });
  });
});
