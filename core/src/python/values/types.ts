/** What travels. */
import type { Displayable } from "../../display";
import type { Travels } from "./ext";
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

/** A NumPy array in C order. */
export interface NdArray extends Displayable {
  /** NumPy's name, such as `float64`, `int64`, `bool`, `datetime64[ns]`. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** The items, the last index running fastest. Of a result it is a view of the received bytes. */
  readonly data: TypedArray;
}

/** Items of one column: numbers as a typed array, dates and booleans as NdArray, texts and the rest as a list. */
export type Column = TypedArray | NdArray | readonly PyValue[];

/** Named columns of one length. pandas where installed, else columns; results of pandas, polars and Arrow arrive as this. */
export interface DataFrame extends Displayable {
  /** In order. */
  readonly columnNames: readonly string[];
  readonly columns: Readonly<Record<string, Column>>;
  /** Number of rows. */
  readonly length: number;
}

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
