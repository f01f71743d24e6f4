/** Any table, plain and HTML. Pure. */
import { type MimeBundle, escapeHtml, textBox } from "./jupyter";
import { columns } from "./text";

/** Text with a colour of its own, such as a state's. */
export interface ColouredCell {
  readonly text: string;
  readonly colour: string;
}
export type Cell = string | ColouredCell;

export interface TableView {
  readonly title: string;
  /** Null: no head. */
  readonly head: readonly string[] | null;
  readonly rows: readonly (readonly Cell[])[];
}

const COLOURS: Readonly<Record<string, string>> = {
  running: "#1976d2",
  done: "#388e3c",
  active: "#388e3c",
  failed: "#d32f2f",
  lost: "#d32f2f",
  inactive: "#d32f2f",
  cancelled: "#f57c00",
};

export function stateColour(state: string): string | undefined {
  return COLOURS[state];
}

/** A state in its colour. */
export function stateCell(state: string): Cell {
  const colour = stateColour(state);
  return colour === undefined ? state : { text: state, colour };
}

export function tableBundle(view: TableView): MimeBundle {
  return { "text/plain": tableText(view), "text/html": tableHtml(view) };
}

export function tableText({ title, head, rows }: TableView): string {
  const table = [...(head && rows.length > 0 ? [head] : []), ...rows.map((row) => row.map(textOf))];
  return [title, ...columns(table).map((line) => `  ${line}`)].join("\n");
}

function tableHtml({ title, head, rows }: TableView): string {
  return textBox(`<b>${escapeHtml(title)}</b>${htmlTable(rows.length > 0 ? head : null, rows)}`);
}

/** @param head null: none. */
export function htmlTable(head: readonly string[] | null, rows: readonly (readonly Cell[])[]): string {
  const heads = head === null ? "" : `<thead><tr>${head.map((text) => htmlCell(text, "th")).join("")}</tr></thead>`;
  const body = rows.map((row) => `<tr>${row.map((cell) => htmlCell(cell)).join("")}</tr>`).join("");
  return `<table>${heads}<tbody>${body}</tbody></table>`;
}

/** Up to this length, texts stay in one line. */
const SHORT = 24;

export function htmlCell(cell: Cell, tag: "td" | "th" = "td"): string {
  const text = textOf(cell);
  const colour = typeof cell === "string" ? "" : `;color:${cell.colour}`;
  const space = text.length <= SHORT ? "pre" : "pre-wrap";
  return `<${tag} style="text-align:left;white-space:${space}${colour}">${escapeHtml(text)}</${tag}>`;
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}
