import { inspect } from "util";
import { type MimeBundle, arrayBundle, jupyterDisplay, showLive } from "../../display";
import { InvalidArgumentError } from "../../errors";
import { show } from "../../validate";
import { dtypeOf } from "./dtypes";
import type { NdArray, TypedArray } from "./types";

/** NumPy 1 has no more. */
const MAX_DIMENSIONS = 32;

/** The one class behind every NdArray. */
export class NdArrayValue implements NdArray {
  constructor(
    readonly dtype: string,
    readonly shape: readonly number[],
    readonly data: TypedArray,
  ) {
    Object.freeze(this);
  }

  [jupyterDisplay](): MimeBundle {
    return arrayBundle(this);
  }

  [inspect.custom](depth: number): string {
    return showLive(depth, () => this[jupyterDisplay](), null);
  }
}

/**
 * An array of any shape, which arrives as `numpy.ndarray`. (A typed array alone arrives as a one-dimensional one, but for
 * Uint8Array, which is `bytes`.)
 *
 * @param shape default: one dimension; its product must be the length of `data`.
 * @throws InvalidArgumentError when the shape does not fit.
 * @example `ndarray(new Float64Array(6), [2, 3])`
 */
export function ndarray(data: TypedArray, shape?: readonly number[]): NdArray {
  const dtype = dtypeOf(data);
  if (dtype === undefined) {
    throw new InvalidArgumentError(`ndarray takes a typed array such as Float64Array.of(1, 2), not ${show(data)}.`);
  }
  const given = shape ?? [data.length];
  if (!isShape(given)) {
    throw new InvalidArgumentError(
      `ndarray: the shape is a list of at most ${String(MAX_DIMENSIONS)} sizes such as [2, 3], not ${show(given)}.`,
    );
  }
  if (sizeOf(given) !== data.length) {
    throw new InvalidArgumentError(
      `ndarray: ${String(data.length)} items do not make the shape [${given.join(", ")}].`,
    );
  }
  return new NdArrayValue(dtype, Object.freeze([...given]), data);
}

export function isShape(value: unknown): value is readonly number[] {
  return (
    Array.isArray(value) &&
    value.length <= MAX_DIMENSIONS &&
    value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)
  );
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
