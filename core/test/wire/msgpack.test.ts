import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Decoded, Ext, MAX_DEPTH, WireError, decode, encode } from "../../src/wire";

/** Any value that plain msgpack holds exactly. */
const value = fc.letrec<{ value: Decoded }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
    fc.double().filter((number) => !Object.is(number, -0)),
    fc.string({ unit: "grapheme" }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("value"), { maxLength: 20 }),
    fc
      .array(fc.tuple(fc.string({ unit: "grapheme" }), tie("value")), { maxLength: 20 })
      .map((entries) => new Map(entries)),
  ),
})).value;

describe("msgpack", () => {
  it("gives back every value that it can hold", () => {
    fc.assert(
      fc.property(value, (original) => {
        expect(decode(encode(original))).toEqual(normalised(original));
      }),
      { numRuns: 500 },
    );
  });

  it("keeps integers at the edges of every width", () => {
    for (let bits = 0n; bits < 63n; bits++) {
      for (const near of [-1n, 0n, 1n]) {
        for (const sign of [1n, -1n]) {
          const integer = sign * (2n ** bits + near);
          expect(BigInt(decode(encode(integer)) as number | bigint)).toBe(integer);
        }
      }
    }
    expect(decode(encode(-(2n ** 63n)))).toBe(-(2n ** 63n));
    expect(() => encode(2n ** 63n)).toThrow(WireError);
  });

  it("ends every input in a value or a WireError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decode(bytes, { ext: true });
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 5000 },
    );
  });

  it("ends every cut and every flipped bit of a good message in a value or a WireError", () => {
    fc.assert(
      fc.property(value, fc.nat(), fc.nat(7), (original, at, bit) => {
        const bytes = Buffer.from(encode(original));
        const place = at % bytes.length;
        if (place < bytes.length - 1) expect(() => decode(bytes.subarray(0, place))).toThrow(WireError);
        bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
    );
  });

  it.each([
    ["a reserved byte", "c1"],
    ["bytes behind the value", "c3c3"],
    ["nothing", ""],
    ["an array of four billion", "ddffffffff"],
    ["a map of four billion", "dfffffffff"],
    ["a binary of four billion bytes", "c6ffffffff"],
    ["an unsigned integer beyond int64", "cfffffffffffffffff"],
    ["a string that is no UTF-8", "a1ff"],
    ["an overlong encoding", "a2c0af"],
    ["half of a surrogate pair", "a3eda080"],
    ["a key twice", "82a16101a16102"],
    ["a key that is no string", "8101c0"],
    ["an ext type in a header", "d40100"],
  ])("refuses %s", (_, hex) => {
    expect(() => decode(Buffer.from(hex, "hex"))).toThrow(WireError);
  });

  it("refuses what is nested too deeply, without recursion", () => {
    const nested = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth, 0x91), Buffer.from([0xc0])]);
    expect(() => decode(nested(MAX_DEPTH))).not.toThrow();
    expect(() => decode(nested(MAX_DEPTH + 1))).toThrow(WireError);
    expect(() => decode(nested(1_000_000))).toThrow(WireError);
  });

  it("allocates nothing for lengths that were only announced", () => {
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 200; round++) {
      for (const hex of ["ddffffffff", "dfffffffff", "c6ffffffff", "dbffffffff", "c9ffffffff01"]) {
        expect(() => decode(Buffer.from(hex, "hex"), { ext: true })).toThrow(WireError);
      }
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });

  it("takes `__proto__` for a key like any other", () => {
    const map = decode(encode(new Map<string, Decoded>([["__proto__", new Map([["polluted", true]])]])));
    expect(map).toBeInstanceOf(Map);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it("carries ext values by type and bytes", () => {
    for (const type of [1, 2, 8]) {
      const ext = decode(encode(new Ext(type, Buffer.from("abc"))), { ext: true });
      expect(ext).toBeInstanceOf(Ext);
      expect((ext as Ext).type).toBe(type);
      expect(Buffer.from((ext as Ext).data).toString()).toBe("abc");
    }
  });
});

/** Binaries come back as Buffer, which is a Uint8Array too. */
function normalised(original: Decoded): unknown {
  if (original instanceof Uint8Array) return Buffer.from(original);
  if (Array.isArray(original)) return original.map(normalised);
  if (original instanceof Map) return new Map([...original].map(([key, item]) => [key, normalised(item)]));
  return typeof original === "bigint" && Number.isSafeInteger(Number(original)) ? Number(original) : original;
}
