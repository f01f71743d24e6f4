/** NumPy's data types and the typed arrays that hold them. */
import { types } from "util";
import type { TypedArray } from "./types";

type Constructor = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer): TypedArray;
};

/** By NumPy's name. */
const ARRAYS: ReadonlyMap<string, Constructor> = new Map<string, Constructor>([
  ["int8", Int8Array],
  ["uint8", Uint8Array],
  ["int16", Int16Array],
  ["uint16", Uint16Array],
  ["int32", Int32Array],
  ["uint32", Uint32Array],
  ["int64", BigInt64Array],
  ["uint64", BigUint64Array],
  ["float32", Float32Array],
  ["float64", Float64Array],
  ["bool", Uint8Array],
]);

/** By the name of the class, so that arrays of another realm count too. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ["Int8Array", "int8"],
  ["Uint8Array", "uint8"],
  ["Uint8ClampedArray", "uint8"],
  ["Int16Array", "int16"],
  ["Uint16Array", "uint16"],
  ["Int32Array", "int32"],
  ["Uint32Array", "uint32"],
  ["BigInt64Array", "int64"],
  ["BigUint64Array", "uint64"],
  ["Float32Array", "float32"],
  ["Float64Array", "float64"],
]);

const TIME = /^(?:datetime64|timedelta64)\[(?:\d{1,9})?(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\]$/;

/** The array type for a dtype's name; undefined: there is none. */
export function arrayType(dtype: string): Constructor | undefined {
  return ARRAYS.get(dtype) ?? (TIME.test(dtype) ? BigInt64Array : undefined);
}

/** Undefined for what is no typed array, or one that NumPy does not know. */
export function dtypeOf(value: unknown): string | undefined {
  return types.isTypedArray(value) ? NAMES.get(value[Symbol.toStringTag]) : undefined;
}

/** Whether a typed array alone says it all. */
export function isNative(dtype: string): boolean {
  return dtype !== "bool" && ARRAYS.has(dtype);
}

export function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
