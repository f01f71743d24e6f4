import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidArgumentError, LazyclusterError } from "../../src/errors";
import { decodeValue, encodeValue } from "../../src/python";

const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.bigInt().filter((integer) => !Number.isSafeInteger(Number(integer))),
    fc.double().filter((number) => !Object.is(number, -0)),
    fc.string({ unit: "grapheme" }),
    fc.uint8Array(),
    fc.array(tie("value"), { maxLength: 10 }),
    fc.dictionary(fc.string({ unit: "grapheme" }), tie("value"), { maxKeys: 10, noNullPrototype: true }),
  ),
})).value;

describe("values", () => {
  it("come back as they went", () => {
    fc.assert(
      fc.property(value, (original) => {
        expect(decodeValue(encodeValue(original, "value"), "host")).toEqual(original);
      }),
    );
  });

  it("keep `__proto__` a key like any other", () => {
    const hostile = JSON.parse('{"__proto__": {"polluted": true}}') as unknown;
    const back = decodeValue(encodeValue(hostile, "value"), "host") as object;
    expect(Object.keys(back)).toEqual(["__proto__"]);
    expect((back as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it.each<[string, unknown, string]>([
    ["a function", { a: [() => 1] }, "value.a[0]"],
    ["a symbol", Symbol("x"), "value"],
    ["a date", { when: new Date() }, "value.when"],
    ["a class instance", [new URL("http://x")], "value[0]"],
    ["a Map with other keys", new Map([[1, 2]]), "value"],
  ])("name the place of %s, which cannot travel", (_, wrong, place) => {
    expect(() => encodeValue(wrong, "value")).toThrow(InvalidArgumentError);
    expect(() => encodeValue(wrong, "value")).toThrow(place);
  });

  it("that hold themselves are refused", () => {
    const circular: unknown[] = [];
    circular.push(circular);
    expect(() => encodeValue(circular, "value")).toThrow(InvalidArgumentError);
  });

  it("that a host made up end in a value or one clear error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), value, fc.nat(), (garbage, original, at) => {
        const broken = Buffer.from(encodeValue(original, "value"));
        broken[at % broken.length] = (broken[at % broken.length] ?? 0) ^ 0x41;
        for (const document of [garbage, broken]) {
          try {
            decodeValue(document, "host-1");
          } catch (error) {
            expect(error).toBeInstanceOf(LazyclusterError);
            expect((error as LazyclusterError).message).toContain("host-1");
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});
