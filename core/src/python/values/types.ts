/** What travels. */
import type { DataFrame } from "./data-frame";
import type { Travels } from "./ext";
import type { NdArray } from "./ndarray";
import type { PyFloat } from "./py-float";

export type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/**
 * What travels to Python. Integral numbers and bigint arrive as int, Uint8Array as bytes, other typed arrays as arrays, Map and
 * object as dict, Set as set, Date as datetime, undefined as None (docs/values.md has the whole table).
 */
export type PyValue =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Date
  | TypedArray
  | NdArray
  | DataFrame
  | PyFloat
  | Travels
  | readonly PyValue[]
  | ReadonlySet<PyValue>
  | ReadonlyMap<PyValue, PyValue>
  | { readonly [key: string]: PyValue };

/** Keyword arguments. */
export type PyKwargs = { readonly [name: string]: PyValue };
