import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { configuredHosts } from "../../src/runtime/ssh-hosts";

describe("the hosts of an ssh config", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "lc-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it("are named by Host lines without patterns, Include followed", () => {
    mkdirSync(join(folder, "conf.d"));
    writeFileSync(join(folder, "conf.d", "a.conf"), "Host inner-a\n");
    writeFileSync(join(folder, "conf.d", "b.conf"), `Host=inner-b\nInclude ${join(folder, "config")}\n`);
    writeFileSync(join(folder, "conf.d", "c.txt"), "Host not-this\n");
    writeFileSync(
      join(folder, "config"),
      `Host one two # a comment\n  HostName 127.0.0.1\nhost *.example !three four? "five"\nInclude ${join(folder, "conf.d")}/*.conf\nHost one\nHost -oProxyCommand=x a;b\n`,
    );
    expect(configuredHosts(join(folder, "config"))).toEqual(["one", "two", "five", "inner-a", "inner-b"]);
  });

  it.each([
    ["[0-9].conf", "12"],
    ["[!0-9].conf", "-[]a"],
    ["[^0-9].c?nf", "-[]a"],
    ["[]1].conf", "1]"],
    ["[a1-].*", "-1a"],
    ["[.conf", "["],
    ["\\[.conf", "["],
    ["[2-1].conf", ""],
    ["+(a).conf", ""],
  ])("are found by Include %s", (pattern, names) => {
    const name = (character: string): string => `of-${String(character.codePointAt(0))}`;
    for (const character of "12a[]-") writeFileSync(join(folder, `${character}.conf`), `Host ${name(character)}\n`);
    writeFileSync(join(folder, "config"), `Include ${join(folder, pattern)}\n`);
    expect(new Set(configuredHosts(join(folder, "config")))).toEqual(new Set(Array.from(names, name)));
  });

  it("are none where there is no file", () => {
    expect(configuredHosts(join(folder, "missing"))).toEqual([]);
  });
});
