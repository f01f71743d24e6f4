import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EngineFailure } from "../../src/engine/protocol/failure";
import { parseHost, parseProxyJump } from "../../src/engine/protocol/host-name";

describe("parseHost", () => {
  test.each([
    ["gpu-1", "gpu-1", null, null],
    ["localhost", "localhost", null, null],
    ["me@gpu-1", "gpu-1", "me", null],
    ["gpu-1:2222", "gpu-1", null, 2222],
    ["me@gpu-1:2222", "gpu-1", "me", 2222],
    ["me@10.0.0.7:22", "10.0.0.7", "me", 22],
    ["me@[::1]:22", "::1", "me", 22],
    ["[fe80::1%eth0]", "fe80::1%eth0", null, null],
    ["fe80::1", "fe80::1", null, null],
    ["DOMAIN\\me@host", "host", "DOMAIN\\me", null],
    ["me@example.org@host", "host", "me@example.org", null],
    ["höst.example", "höst.example", null, null],
  ])("%s", (host, name, user, port) => {
    expect(parseHost(host)).toEqual({ name, user, port });
  });

  test.each([
    "",
    "@host",
    "me@",
    "-oProxyCommand=x",
    "me@-host",
    "-me@host",
    "host:0",
    "host:65536",
    "host:",
    "host:2x",
    "host: 22",
    "a b",
    "a\tb",
    "a\nb",
    "a\0b",
    "me;id@host",
    "$(id)",
    "`id`",
    "me@ho|st",
    "host\u202e",
    "host\u00a0",
    "*",
    "a,b",
    "[::1",
    "[::1]x",
    "[]:22",
    "host#1",
    "a\\b",
  ])("refuses %j", (host) => {
    expect(() => parseHost(host)).toThrow(EngineFailure);
    try {
      parseHost(host);
    } catch (error) {
      expect((error as EngineFailure).data.code).toBe("ERR_INVALID_ARGUMENT");
    }
  });

  test("whatever comes in, what comes out is safe", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" })), (host) => {
        let parsed;
        try {
          parsed = parseHost(host);
        } catch (error) {
          expect(error).toBeInstanceOf(EngineFailure);
          return;
        }
        for (const part of [parsed.name, parsed.user ?? "x"]) {
          expect(part).not.toMatch(/^-|[\p{Cc}\s;&|$`'"<>(){}]/u);
          expect(part).not.toBe("");
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("a name that is put together comes apart the same", () => {
    const name = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,20}$/);
    fc.assert(
      fc.property(name, name, fc.integer({ min: 1, max: 65535 }), (host, user, port) => {
        expect(parseHost(`${user}@${host}:${port}`)).toEqual({ name: host, user, port });
      }),
    );
  });
});

test("parseProxyJump reads a list, and none", () => {
  expect(parseProxyJump("none")).toEqual([]);
  expect(parseProxyJump("a,me@b:22").map(({ name }) => name)).toEqual(["a", "b"]);
  expect(() => parseProxyJump("a,-b")).toThrow(EngineFailure);
});
