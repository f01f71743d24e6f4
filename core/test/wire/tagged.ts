/** The vectors of python-shim/tests/vectors and their tagged values. */
import { readFileSync } from "fs";
import { join } from "path";
import { type Column, DataFrameValue, NdArrayValue, type TypedArray, ndarray } from "../../src/python";
import { arrayType, dtypeOf } from "../../src/python/values/dtypes";

const FOLDER = join(__dirname, "..", "..", "..", "python-shim", "tests", "vectors");

export type Hex = string | [string, number][];
export type Tagged =
  | null
  | boolean
  | string
  | Tagged[]
  | { int: string }
  | { float: string }
  | { bytes: string | [string, number] }
  | { text: [string, number] }
  | { map: [string, Tagged][] }
  | { dict: [Tagged, Tagged][] }
  | { set: Tagged[] }
  | { tuple: Tagged[] }
  | { datetime: string }
  | { date: string }
  | { array: [string, number[], string] }
  | { frame: [string, Tagged][] }
  | { repeat: [Tagged, number] }
  | { nest: [Tagged, number] };
export interface Vector {
  readonly name: string;
  readonly hex: Hex;
  readonly value?: Tagged;
  readonly error?: boolean;
  readonly decodeOnly?: boolean;
  readonly frames?: { readonly header: Tagged; readonly payload: string }[];
  readonly pending?: number;
}

export function load(name: string): [string, Vector][] {
  const vectors = JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as Vector[];
  return vectors.map((vector) => [vector.name, vector]);
}

export function bytesOf(hex: Hex): Buffer {
  if (typeof hex === "string") return Buffer.from(hex, "hex");
  return Buffer.concat(hex.map(([part, times]) => Buffer.alloc(times * (part.length / 2), Buffer.from(part, "hex"))));
}

/** The value that a vector stands for, as JavaScript has it. `exact` turns false where two values of Python are one here. */
export function valueOf(tagged: Tagged, note: { exact: boolean }): unknown {
  if (tagged === null || typeof tagged !== "object") return tagged;
  if (Array.isArray(tagged)) return tagged.map((item) => valueOf(item, note));
  if ("int" in tagged) {
    const integer = BigInt(tagged.int);
    return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
  }
  if ("float" in tagged) {
    const number = Buffer.from(tagged.float, "hex").readDoubleBE();
    if ((Number.isInteger(number) && !Object.is(number, -0)) || Number.isNaN(number)) note.exact = false;
    return number;
  }
  if ("bytes" in tagged) return bytesOf(typeof tagged.bytes === "string" ? tagged.bytes : [tagged.bytes]);
  if ("text" in tagged) return tagged.text[0].repeat(tagged.text[1]);
  if ("map" in tagged) return new Map(tagged.map.map(([key, item]) => [key, valueOf(item, note)]));
  if ("dict" in tagged) {
    return new Map(tagged.dict.map(([key, item]) => [valueOf(key, note), valueOf(item, note)]));
  }
  if ("set" in tagged) return new Set(tagged.set.map((item) => valueOf(item, note)));
  if ("tuple" in tagged) return tagged.tuple.map((item) => valueOf(item, note));
  if ("datetime" in tagged) return new Date(Math.floor(Number(tagged.datetime) / 1000));
  if ("date" in tagged) return new Date(Number(tagged.date) / 1000);
  if ("array" in tagged) {
    const [dtype, shape, data] = tagged.array;
    const bytes = Uint8Array.from(Buffer.from(data, "hex"));
    const type = arrayType(dtype);
    if (!type) throw new Error(`no array type for ${dtype}`);
    return new NdArrayValue(dtype, shape, new type(bytes.buffer));
  }
  if ("frame" in tagged) {
    const columns = new Map(tagged.frame.map(([name, column]) => [name, valueOf(column, note) as Column]));
    const [first] = columns.values();
    const rows =
      first === undefined ? 0 : first instanceof NdArrayValue ? first.data.length : (first as unknown[]).length;
    return new DataFrameValue(columns, rows);
  }
  if ("repeat" in tagged) return Array.from({ length: tagged.repeat[1] }, () => valueOf(tagged.repeat[0], note));
  let nested = valueOf(tagged.nest[0], note);
  for (let depth = 0; depth < tagged.nest[1]; depth++) nested = [nested];
  return nested;
}

/** Documents give plain objects and Uint8Array, messages Map and Buffer: compared in one form. */
export function same(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(same);
  if (Object.is(value, -0)) return "-0";
  if (value instanceof Date) return { date: value.getTime() };
  if (value instanceof Set) return { set: [...(value as Set<unknown>)].map(same) };
  const dtype = dtypeOf(value);
  if (dtype !== undefined && !(value instanceof Uint8Array)) return same(ndarray(value as TypedArray));
  if (value instanceof NdArrayValue) {
    const { dtype, shape, data } = value;
    return { dtype, shape, bytes: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex") };
  }
  if (value instanceof DataFrameValue) {
    return { length: value.length, frame: value.columnNames.map((name) => [name, same(column(value.columns[name]))]) };
  }
  if (value instanceof Map)
    return { map: [...(value as Map<string, unknown>)].map(([key, item]) => [key, same(item)]) };
  if (typeof value === "object" && value !== null)
    return { map: Object.entries(value).map(([key, item]) => [key, same(item)]) };
  return value;
}

/** A column of bytes is an array, and no bytes. */
function column(value: unknown): unknown {
  return value instanceof Uint8Array ? ndarray(value) : value;
}
