/** An array as text: its type, its shape, and its first and last items. Pure. */
import { cell } from "./cell";
import { type MimeBundle, escapeHtml, textBox } from "./jupyter";

export interface ArrayView {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: { readonly length: number; readonly [index: number]: unknown };
}

/** Items of one dimension that are all shown, and how many at each end otherwise. */
const ALL = 12;
const EDGE = 4;
/** With more dimensions the items are shown in one row, so that the text stays short. */
const MANY = 3;

export function arrayBundle(view: ArrayView): MimeBundle {
  const title = `${view.dtype} array, shape [${view.shape.join(", ")}]`;
  const shape = view.shape.length > MANY ? [view.data.length] : view.shape;
  const items = view.data.length === 0 ? "[]" : nested({ ...view, shape }, 0, 0);
  return {
    "text/plain": `${title}\n${items}`,
    "text/html": textBox(`<small>${escapeHtml(title)}</small><pre style="margin:4px 0">${escapeHtml(items)}</pre>`),
  };
}

function nested(view: ArrayView, dimension: number, offset: number): string {
  const size = view.shape[dimension];
  if (size === undefined) return cell(view.data[offset], view.dtype);
  const stride = view.shape.slice(dimension + 1).reduce((product, next) => product * next, 1);
  const parts = picked(size, ALL, EDGE).map((at) =>
    at === null ? "…" : nested(view, dimension + 1, offset + at * stride),
  );
  const innermost = dimension === view.shape.length - 1;
  return `[${parts.join(innermost ? ", " : `,\n${" ".repeat(dimension + 1)}`)}]`;
}

/** Indices that are shown; null stands for those that are left out. */
export function picked(size: number, all: number, edge: number): (number | null)[] {
  if (size <= all) return Array.from({ length: size }, (_, at) => at);
  const ends = Array.from({ length: edge }, (_, at) => at);
  return [...ends, null, ...ends.map((at) => size - edge + at)];
}
