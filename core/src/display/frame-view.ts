/** A data frame as a table, plain and HTML: its first and last rows and columns. Pure. */
import { picked } from "./array-view";
import { cell } from "./cell";
import { type MimeBundle, escapeHtml, textBox } from "./jupyter";
import { columns, oneLine } from "./text";

export interface ColumnView {
  readonly name: string;
  /** NumPy's name of the items' type; empty for a list of anything. */
  readonly dtype: string;
  readonly items: { readonly length: number; readonly [index: number]: unknown };
}

export interface FrameView {
  readonly columns: readonly ColumnView[];
  /** Number of rows. */
  readonly length: number;
}

const ALL_ROWS = 20;
const EDGE_ROWS = 5;
const ALL_COLUMNS = 20;
const EDGE_COLUMNS = 10;

export function frameBundle(frame: FrameView): MimeBundle {
  const size = `${String(frame.length)} rows × ${String(frame.columns.length)} columns`;
  const [head = [], ...body] = table(frame);
  const row = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((text, at) => `<${at === 0 ? "th" : tag} style="text-align:${at === 0 ? "left" : "right"}">${escapeHtml(text)}</${at === 0 ? "th" : tag}>`).join("")}</tr>`;
  return {
    "text/plain": [...columns([head, ...body]), size].join("\n"),
    "text/html": textBox(
      `<table><thead>${row(head, "th")}</thead>` +
        `<tbody>${body.map((cells) => row(cells, "td")).join("")}</tbody></table><small>${size}</small>`,
      "overflow-x:auto",
    ),
  };
}

/** The first row has the names, the first column the row numbers. */
function table(frame: FrameView): string[][] {
  const shown = picked(frame.columns.length, ALL_COLUMNS, EDGE_COLUMNS).map((at) =>
    at === null ? null : (frame.columns[at] ?? null),
  );
  const rows = picked(frame.length, ALL_ROWS, EDGE_ROWS);
  return [
    ["", ...shown.map((column) => (column ? oneLine(column.name, 50) : "…"))],
    ...rows.map((at) => [
      at === null ? "…" : String(at),
      ...shown.map((column) => (column && at !== null ? cell(column.items[at], column.dtype) : "…")),
    ]),
  ];
}
