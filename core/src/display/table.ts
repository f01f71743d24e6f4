/** Any table, plain and HTML. Pure. */
import { type MimeBundle, escapeHtml } from "./jupyter";
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
  const heads = head?.map((text) => `<th style="text-align:left">${escapeHtml(text)}</th>`).join("") ?? "";
  const body = rows.map((row) => `<tr>${row.map(htmlCell).join("")}</tr>`).join("");
  return (
    `<div><b>${escapeHtml(title)}</b><table>` +
    (heads === "" || rows.length === 0 ? "" : `<thead><tr>${heads}</tr></thead>`) +
    `<tbody>${body}</tbody></table></div>`
  );
}

function htmlCell(cell: Cell): string {
  const colour = typeof cell === "string" ? "" : `;color:${cell.colour}`;
  return `<td style="text-align:left;white-space:pre-wrap${colour}">${escapeHtml(textOf(cell))}</td>`;
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}
