import { inspect } from "util";
import { InvalidArgumentError } from "../../errors";
import { show } from "../../validate";

/** A number that arrives as `float`. */
export interface PyFloat {
  readonly pyFloat: number;
}

/** The one class behind every PyFloat. */
export class FloatValue implements PyFloat {
  constructor(readonly pyFloat: number) {
    Object.freeze(this);
  }

  [inspect.custom](): string {
    return `pyFloat(${String(this.pyFloat)})`;
  }
}

/**
 * A number that arrives in Python as `float` even when it is integral; without it `2` arrives as `int`.
 *
 * @throws InvalidArgumentError for what is no number.
 * @example `runtime.executeFunction(halve, { x: pyFloat(2) })`
 */
export function pyFloat(n: number): PyFloat {
  if (typeof n !== "number") throw new InvalidArgumentError(`pyFloat takes a number, not ${show(n)}.`);
  return new FloatValue(n);
}
