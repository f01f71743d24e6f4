import fc from "fast-check";
import { mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { describe, expect, it } from "vitest";
import { InvalidArgumentError, LazyclusterError } from "../../src/errors";
import {
  type Column,
  type PyValue,
  dataFrame,
  decodeDocument,
  decodeValue,
  encodeDocument,
  encodeValue,
  ndarray,
  pyFloat,
  readDocumentFile,
  travels,
} from "../../src/python";
import type { ValueWriter } from "../../src/python";
import { DocumentCutter } from "../../src/wire";
import { bytesOf, load, same, valueOf } from "../wire/tagged";

const text = fc.string({ unit: "grapheme" });
const scalar = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.maxSafeInteger(),
  fc.bigInt().filter((integer) => !Number.isSafeInteger(Number(integer))),
  fc.double(),
  text,
  fc.uint8Array(),
  fc.date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true }),
);
const numbers = fc.oneof(
  fc.float64Array(),
  fc.float32Array(),
  fc.int16Array(),
  fc.uint32Array(),
  fc.bigInt64Array(),
  fc.bigUint64Array(),
  fc.uint8Array(),
  fc.uint8ClampedArray(),
);
const array = fc.oneof(
  numbers.map((data) => ndarray(data)),
  numbers.map((data) => ndarray(data, [1, data.length, 1])),
);
const frame = fc
  .tuple(fc.nat(20), fc.uniqueArray(text, { maxLength: 5 }), fc.infiniteStream(fc.nat(3)))
  .map(([rows, names, kinds]) =>
    dataFrame(
      Object.fromEntries(
        names.map((name): [string, Column] => {
          const { value: kind } = kinds.next() as { value: number };
          if (kind === 0) return [name, Float64Array.from({ length: rows }, Math.sqrt)];
          if (kind === 1) return [name, Array.from({ length: rows }, (_, at) => (at % 3 === 1 ? null : `é${name}`))];
          if (kind === 2) return [name, Uint8Array.from({ length: rows }, (_, at) => at)];
          return [name, Array.from({ length: rows }, (_, at) => (at % 2 ? at : { at: [name] }))];
        }),
      ),
    ),
  );
const key = fc.oneof(fc.maxSafeInteger(), text, fc.boolean());
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    array,
    frame,
    fc.array(tie("value"), { maxLength: 10 }),
    fc.dictionary(text, tie("value"), { maxKeys: 10, noNullPrototype: true }),
    fc
      .uniqueArray(
        scalar.filter((item) => typeof item !== "object"),
        { maxLength: 5 },
      )
      .map((items) => new Set(items)),
    fc.array(fc.tuple(key, tie("value")), { maxLength: 5 }).map((entries) => new Map(entries)),
  ),
})).value;

function roundTrip(original: unknown): unknown {
  return decodeValue(encodeValue(original, "value"), "host");
}

describe("values", () => {
  it("come back as they went", () => {
    fc.assert(
      fc.property(value, (original) => {
        expect(same(roundTrip(original))).toEqual(same(original));
      }),
    );
  });

  it("keep `__proto__` a key like any other", () => {
    const hostile = JSON.parse('{"__proto__": {"polluted": true}}') as unknown;
    const back = roundTrip(hostile) as object;
    expect(Object.keys(back)).toEqual(["__proto__"]);
    expect((back as { polluted?: boolean }).polluted).toBeUndefined();
    const frame = dataFrame(JSON.parse('{"__proto__": [1]}') as Record<string, Column>);
    expect((roundTrip(frame) as typeof frame).columnNames).toEqual(["__proto__"]);
  });

  it.each<[string, unknown, string]>([
    ["a function", { a: [() => 1] }, "value.a[0]"],
    ["a symbol", Symbol("x"), "value"],
    ["an invalid date", { when: new Date(NaN) }, "value.when"],
    ["a date before Python's", [new Date(-1e15)], "value[0]"],
    ["a class instance", [new URL("http://x")], "value[0]"],
    ["an object as key", { a: new Map([[{}, 2]]) }, "value.a"],
    ["an object in a Set", [new Set([{}])], "value[0]"],
    ["an array in a Set", new Set([Float64Array.of(1)]), "value"],
    ["a promise", { p: [Promise.resolve(1)] }, "value.p[0]"],
    ["a DataView", new DataView(new ArrayBuffer(1)), "value"],
    ["an ArrayBuffer", new ArrayBuffer(1), "value"],
    ["a cell of a frame", dataFrame({ a: [1, Symbol("x") as never] }), "value.a[1]"],
  ])("name the place of %s, which cannot travel", (_, wrong, place) => {
    expect(() => encodeValue(wrong, "value")).toThrow(InvalidArgumentError);
    expect(() => encodeValue(wrong, "value")).toThrow(place);
  });

  it("that hold themselves are refused", () => {
    const circular: unknown[] = [];
    circular.push(circular);
    expect(() => encodeValue(circular, "value")).toThrow(InvalidArgumentError);
    const set = new Map<unknown, unknown>();
    set.set(1, set);
    expect(() => encodeValue(set, "value")).toThrow(InvalidArgumentError);
  });

  it("of the deepest nesting can be read", () => {
    let deep: PyValue = new Map<PyValue, PyValue>([[1, dataFrame({ a: Float64Array.of(1) })]]);
    for (let depth = 0; depth < 58; depth++) deep = [deep];
    expect(same(roundTrip(deep))).toEqual(same(deep));
    expect(() => encodeValue([[deep]], "value")).toThrow("nested too deeply");
  });

  it("that a host made up end in a value or one clear error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), value, fc.nat(), fc.nat(255), (garbage, original, at, flip) => {
        const broken = Buffer.from(encodeValue(original, "value"));
        broken[at % broken.length] = (broken[at % broken.length] ?? 0) ^ flip;
        const body = Buffer.concat([Buffer.of(0x92, 0x90), garbage]);
        const headed = Buffer.concat([Buffer.of(0, 0, 0, body.length), body]);
        for (const document of [garbage, headed, broken, broken.subarray(0, at % broken.length)]) {
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

describe("value documents", () => {
  it.each(load("documents.json"))("%s", (_, vector) => {
    const bytes = bytesOf(vector.hex);
    if (vector.error) {
      expect(() => decodeValue(bytes, "host-1")).toThrow(/host-1/);
      return;
    }
    const note = { exact: true };
    const value = valueOf(vector.value ?? null, note);
    expect(same(decodeValue(bytes, "host-1"))).toEqual(same(value));
    if (!note.exact || vector.decodeOnly) return;
    expect(same(roundTrip(value))).toEqual(same(value));
    // Maps with string keys alone could be objects.
    if (/array|frame|time|epoch|moment|dict|set/.test(vector.name)) {
      expect(Buffer.from(encodeValue(value, "value")).toString("hex")).toBe(bytes.toString("hex"));
    }
  });

  it("copy nothing: arrays are views of what the caller gave, and of what came", () => {
    const data = Float64Array.of(1, 2, 3);
    const { head, buffers, size } = encodeDocument({ data }, "value");
    expect(buffers[0]?.buffer).toBe(data.buffer);
    const cutter = new DocumentCutter();
    for (const piece of [head, ...buffers]) cutter.push(piece);
    const cut = cutter.finish();
    expect(size).toBe(head.length + 24);
    const back = decodeDocument(cut, { host: "h" }) as { data: { data: Float64Array } };
    expect(back.data.data).toEqual(data);
    expect(back.data.data.buffer).toBe(cut.buffers[0]);
  });

  it("come in pieces of any size, and from a file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "lazycluster-values-"));
    try {
      await fc.assert(
        fc.asyncProperty(value, fc.array(fc.nat(40)), async (original, sizes) => {
          const document = Buffer.from(encodeValue([original, new Uint8Array(3)], "value"));
          const cutter = new DocumentCutter();
          let at = 0;
          for (const size of sizes) cutter.push(document.subarray(at, (at = Math.min(at + size, document.length))));
          cutter.push(document.subarray(at));
          const expected = same([original, new Uint8Array(3)]);
          expect(same(decodeDocument(cutter.finish(), { host: "h" }))).toEqual(expected);
          const file = join(folder, "document");
          writeFileSync(file, document);
          expect(same(decodeDocument(await readDocumentFile(file), { host: "h" }))).toEqual(expected);
          writeFileSync(file, document.subarray(0, -1));
          await expect(readDocumentFile(file)).rejects.toThrow("do not fill it");
        }),
        { numRuns: 50 },
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("allocate nothing that is only announced", () => {
    const tree = Buffer.from("9291d30003ffffffffffff" + "d60200000000", "hex");
    const head = Buffer.alloc(4);
    head.writeUInt32BE(tree.length);
    const cutter = new DocumentCutter();
    cutter.push(Buffer.concat([head, tree, Buffer.alloc(1000)]));
    expect(() => cutter.finish()).toThrow("cut off");
    expect(() => new DocumentCutter().push(Buffer.from("ffffffff", "hex"))).toThrow("tree");
  });

  it("carry what travels in its own way, and revive it", () => {
    const handle = { [travels]: (writer: ValueWriter) => writer.ext(9, writer.attach(handle)) };
    const reference = { [travels]: (writer: ValueWriter) => writer.ext(10, 5) };
    const callable = Object.assign(() => undefined, {
      [travels]: (writer: ValueWriter) => writer.ext(11, [{ kind: "module" }, { handle, bytes: Uint8Array.of(1) }]),
    });
    const { head, attached, buffers } = encodeDocument([handle, { reference }, callable], "value");
    expect(attached).toEqual([handle, handle]);
    expect(buffers).toHaveLength(1);
    expect(Buffer.from(head).toString("hex")).toContain("d60900000000");
    const tree = Buffer.from("9290" + "93" + "d60981a161c0" + "d60a81a161c0" + "d60c81a161c0", "hex");
    const revive = (type: number, content: unknown): unknown => ({ type, content });
    expect(decodeDocument({ tree, buffers: [] }, { host: "h", revive })).toEqual(
      [9, 10, 12].map((type) => ({ type, content: { a: null } })),
    );
    expect(() => decodeDocument({ tree, buffers: [] }, { host: "host-1" })).toThrow("host-1");
  });
});

describe("ndarray, dataFrame and pyFloat", () => {
  it("check what they get", () => {
    for (const wrong of [
      () => ndarray([1, 2] as never),
      () => ndarray(new Float64Array(6), [2, 2]),
      () => ndarray(new Float64Array(1), [1.5]),
      () => ndarray(new Float64Array(1), 1 as never),
      () => dataFrame([] as never),
      () => dataFrame({ a: [1], b: [1, 2] }),
      () => dataFrame({ a: "text" as never }),
      () => dataFrame({ a: ndarray(new Float64Array(4), [2, 2]) }),
      () => pyFloat("1" as never),
    ]) {
      expect(wrong).toThrow(InvalidArgumentError);
    }
  });

  it("force a float", () => {
    expect(Buffer.from(encodeValue(pyFloat(2), "value")).toString("hex")).toBe("0000000b9290cb4000000000000000");
    expect(Buffer.from(encodeValue(2, "value")).toString("hex")).toBe("00000003929002");
  });
});
