/** How objects show themselves in a notebook. */

/** `Symbol.for("Jupyter.display")`: the method by which an object gives its rich output to a notebook. */
export const jupyterDisplay: unique symbol = Symbol.for("Jupyter.display") as never;

export interface Displayable {
  [jupyterDisplay](): MimeBundle;
}

/** Representations by MIME type. */
export interface MimeBundle {
  "text/plain": string;
  "text/html"?: string;
  [mimeType: string]: unknown;
}

/** Text that a host or a user chose, as HTML text: never markup. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${String(character.charCodeAt(0))};`);
}
