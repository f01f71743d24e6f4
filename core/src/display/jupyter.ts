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

/**
 * A box for HTML that is made of texts. Between two dollar signs of a text is no formula, as notebooks take it where these
 * classes do not tell them (of nbconvert's MathJax 2, and of JupyterLab's MathJax 3).
 */
export function textBox(html: string, style = ""): string {
  return `<div class="tex2jax_ignore mathjax_ignore"${style === "" ? "" : ` style="${style}"`}>${html}</div>`;
}

/** What the value shows of itself; null when it is nothing special. A display that fails is told in its place. */
export function bundleOf(value: unknown): MimeBundle | null {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return null;
  const show = (value as Partial<Displayable>)[jupyterDisplay];
  if (typeof show !== "function") return null;
  const bundle: unknown = show.call(value as Displayable);
  return typeof bundle === "object" && bundle !== null ? (bundle as MimeBundle) : null;
}
