import { inspect } from "util";
import { type MimeBundle, frameBundle, jupyterDisplay, showLive } from "../../display";
import { InvalidArgumentError } from "../../errors";
import { show } from "../../validate";
import { dtypeOf } from "./dtypes";
import { NdArrayValue } from "./ndarray";
import type { Column, DataFrame, PyValue, TypedArray } from "./types";

/** The one class behind every DataFrame. */
export class DataFrameValue implements DataFrame {
  readonly columnNames: readonly string[];
  readonly columns: Readonly<Record<string, Column>>;

  constructor(
    columns: ReadonlyMap<string, Column>,
    readonly length: number,
  ) {
    this.columnNames = Object.freeze([...columns.keys()]);
    const byName: Record<string, Column> = {};
    for (const [name, value] of columns) Object.defineProperty(byName, name, { value, enumerable: true });
    this.columns = Object.freeze(byName);
    Object.freeze(this);
  }

  [jupyterDisplay](): MimeBundle {
    return frameBundle({
      length: this.length,
      columns: this.columnNames.map((name) => {
        const column = this.columns[name] ?? [];
        return column instanceof NdArrayValue
          ? { name, dtype: column.dtype, items: column.data }
          : { name, dtype: dtypeOf(column) ?? "", items: column as TypedArray | readonly unknown[] };
      }),
    });
  }

  [inspect.custom](depth: number): string {
    return showLive(depth, () => this[jupyterDisplay](), null);
  }
}

/**
 * Columns of one length, in key order; arrives as `pandas.DataFrame` where pandas is installed, else as polars', else as a
 * dict of columns. A list of texts and nulls is a text column.
 *
 * @throws InvalidArgumentError when a column is none, or their lengths differ.
 * @example `dataFrame({ name: ["a", "b"], size: Float64Array.of(1, 2) })`
 */
export function dataFrame(columns: Readonly<Record<string, Column>>): DataFrame {
  if (typeof columns !== "object" || (columns as unknown) === null || Array.isArray(columns)) {
    throw new InvalidArgumentError(`dataFrame takes an object of columns such as { a: [1, 2] }, not ${show(columns)}.`);
  }
  let length: number | null = null;
  const checked = new Map<string, Column>();
  for (const [name, column] of Object.entries(columns)) {
    const rows = rowsOf(column, name);
    length ??= rows;
    if (rows !== length) {
      throw new InvalidArgumentError(
        `dataFrame: the column ${JSON.stringify(name)} has ${String(rows)} rows, and the first one ${String(length)}.`,
      );
    }
    checked.set(name, Array.isArray(column) ? Object.freeze([...(column as readonly PyValue[])]) : column);
  }
  return new DataFrameValue(checked, length ?? 0);
}

function rowsOf(column: unknown, name: string): number {
  if (Array.isArray(column)) return column.length;
  if (column instanceof NdArrayValue && column.shape.length === 1) return column.data.length;
  if (dtypeOf(column) !== undefined) return (column as TypedArray).length;
  throw new InvalidArgumentError(
    `dataFrame: the column ${JSON.stringify(name)} must be a typed array, a one-dimensional ndarray or a list, not ${show(column)}.`,
  );
}
