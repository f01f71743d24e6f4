/** What a command gave, as a cell shows it. */
import { type MimeBundle, columns, escapeHtml, htmlTable, textBox } from "../../display";
import type { CommandOutput } from "../context";

type Part =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "table"; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };

export class CollectedOutput implements CommandOutput {
  /** What it gave with `--json`; undefined: nothing. */
  value: unknown = undefined;
  private readonly parts: Part[] = [];

  line(text: string): void {
    this.parts.push({ kind: "line", text });
  }

  table(head: readonly string[], rows: readonly (readonly string[])[]): void {
    this.parts.push({ kind: "table", head, rows });
  }

  data(value: unknown): void {
    this.value = value;
  }

  get text(): string {
    return this.parts
      .map((part) => (part.kind === "line" ? part.text : columns([part.head, ...part.rows]).join("\n")))
      .join("\n");
  }

  /** Null where there is nothing to show. */
  bundle(): MimeBundle | null {
    if (this.parts.length === 0) return null;
    const html = this.parts.map(partHtml).join("");
    return { "text/plain": this.text, "text/html": textBox(html) };
  }
}

function partHtml(part: Part): string {
  // Lines may be columns, made for letters of one width.
  if (part.kind === "line") return `<pre style="margin:0;white-space:pre-wrap">${escapeHtml(part.text)}</pre>`;
  return htmlTable(part.head, part.rows);
}
