/** The vectors that the agent's tests read too: both ends must agree on every byte. */
import { readFileSync } from "fs";
import { join } from "path";
import { describe, expect, it } from "vitest";
import { decodeValue, encodeValue } from "../../src/python";
import { type Decoded, FrameDecoder, WireError, decode, encode } from "../../src/wire";

const FOLDER = join(__dirname, "..", "..", "..", "python-shim", "tests", "vectors");

type Hex = string | [string, number][];
type Tagged =
  | null
  | boolean
  | string
  | Tagged[]
  | { int: string }
  | { float: string }
  | { bytes: string | [string, number] }
  | { text: [string, number] }
  | { map: [string, Tagged][] }
  | { repeat: [Tagged, number] }
  | { nest: [Tagged, number] };
interface Vector {
  readonly name: string;
  readonly hex: Hex;
  readonly value?: Tagged;
  readonly error?: boolean;
  readonly decodeOnly?: boolean;
  readonly frames?: { readonly header: Tagged; readonly payload: string }[];
  readonly pending?: number;
}

function load(name: string): [string, Vector][] {
  const vectors = JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as Vector[];
  return vectors.map((vector) => [vector.name, vector]);
}

function bytesOf(hex: Hex): Buffer {
  if (typeof hex === "string") return Buffer.from(hex, "hex");
  return Buffer.concat(hex.map(([part, times]) => Buffer.alloc(times * (part.length / 2), Buffer.from(part, "hex"))));
}

/** The value that a vector stands for, as JavaScript has it. `exact` turns false where two values of Python are one here. */
function valueOf(tagged: Tagged, note: { exact: boolean }): unknown {
  if (tagged === null || typeof tagged !== "object") return tagged;
  if (Array.isArray(tagged)) return tagged.map((item) => valueOf(item, note));
  if ("int" in tagged) {
    const integer = BigInt(tagged.int);
    return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
  }
  if ("float" in tagged) {
    const number = Buffer.from(tagged.float, "hex").readDoubleBE();
    if (Number.isInteger(number) || Number.isNaN(number)) note.exact = false;
    return number;
  }
  if ("bytes" in tagged) return bytesOf(typeof tagged.bytes === "string" ? tagged.bytes : [tagged.bytes]);
  if ("text" in tagged) return tagged.text[0].repeat(tagged.text[1]);
  if ("map" in tagged) return new Map(tagged.map.map(([key, item]) => [key, valueOf(item, note)]));
  if ("repeat" in tagged) return Array.from({ length: tagged.repeat[1] }, () => valueOf(tagged.repeat[0], note));
  let nested = valueOf(tagged.nest[0], note);
  for (let depth = 0; depth < tagged.nest[1]; depth++) nested = [nested];
  return nested;
}

/** Documents give plain objects and Uint8Array, messages Map and Buffer: compared in one form. */
function same(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(same);
  if (value instanceof Map)
    return { map: [...(value as Map<string, unknown>)].map(([key, item]) => [key, same(item)]) };
  if (typeof value === "object" && value !== null)
    return { map: Object.entries(value).map(([key, item]) => [key, same(item)]) };
  return value;
}

describe("msgpack vectors", () => {
  it.each(load("msgpack.json"))("%s", (_, vector) => {
    const bytes = bytesOf(vector.hex);
    if (vector.error) {
      expect(() => decode(bytes)).toThrow(WireError);
      return;
    }
    const note = { exact: true };
    const value = valueOf(vector.value ?? null, note);
    expect(same(decode(bytes))).toEqual(same(value));
    if (note.exact && !vector.decodeOnly) expect(same(decode(encode(value as Decoded)))).toEqual(same(value));
  });
});

describe("frame vectors", () => {
  it.each(load("frames.json"))("%s", (_, vector) => {
    const decoder = new FrameDecoder();
    const read = () => [...decoder.push(bytesOf(vector.hex))].map(({ payload }) => payload.toString("hex"));
    if (vector.error) {
      expect(read).toThrow(WireError);
      return;
    }
    expect(read()).toEqual(vector.frames?.map(({ payload }) => payload) ?? []);
    expect(decoder.pending).toBe(vector.pending ?? 0);
  });
});

describe("value documents", () => {
  it.each(load("documents.json"))("%s", (_, vector) => {
    const bytes = bytesOf(vector.hex);
    // JavaScript cannot tell 1.0 from 1.
    if (vector.name === "a length that is a float") return;
    if (vector.error) {
      expect(() => decodeValue(bytes, "host-1")).toThrow(/host-1/);
      return;
    }
    const note = { exact: true };
    const value = valueOf(vector.value ?? null, note);
    expect(same(decodeValue(bytes, "host-1"))).toEqual(same(value));
    if (note.exact && !vector.decodeOnly)
      expect(same(decodeValue(encodeValue(value, "value"), "host-1"))).toEqual(same(value));
  });
});
