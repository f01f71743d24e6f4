/** An error as a table, plain and HTML: what it says of itself, and where it comes from. Pure. */
import { type MimeBundle, escapeHtml, textBox } from "./jupyter";
import { htmlTable, stateColour, tableBundle } from "./table";

export interface ErrorView {
  /** Name and message. */
  readonly title: string;
  readonly details: readonly (readonly [name: string, value: string])[];
  /** Lines of its traceback. */
  readonly trace: readonly string[];
}

export function errorBundle({ title, details, trace }: ErrorView): MimeBundle {
  const table = tableBundle({ title: "", head: null, rows: details });
  const text = [title, ...table["text/plain"].split("\n").slice(1), ...trace].join("\n");
  const colour = stateColour("failed") ?? "inherit";
  return {
    "text/plain": text,
    "text/html": textBox(
      `<b style="color:${colour};white-space:pre-wrap">${escapeHtml(title)}</b>` +
        (details.length === 0 ? "" : htmlTable(null, details)) +
        (trace.length === 0 ? "" : `<pre style="margin:4px 0">${escapeHtml(trace.join("\n"))}</pre>`),
    ),
  };
}
