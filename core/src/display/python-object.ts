/** A Python object of a host in a notebook. Pure: it takes the forms that the object gave. */
import { type MimeBundle, escapeHtml } from "./jupyter";

export interface ObjectView {
  readonly repr: string;
  /** Where it comes from. */
  readonly host: string;
  /** By MIME type: texts as they are, images as bytes. */
  readonly forms: ReadonlyMap<string, string | Uint8Array>;
  /** What is markup may be shown as markup. */
  readonly trusted: boolean;
}

const IMAGES = ["image/png", "image/jpeg"];
const SVG = "image/svg+xml";
/** Which could run scripts, or lead elsewhere, in the notebook that shows them. */
const MARKUP = ["text/html", SVG, "text/markdown", "text/latex"];

/** Markup of a host that is not trusted is shown as text: as it could act in the name of whoever looks at the notebook. */
export function objectBundle({ repr, host, forms, trusted }: ObjectView): MimeBundle {
  const bundle: MimeBundle = { "text/plain": repr };
  for (const type of IMAGES) {
    const bytes = forms.get(type);
    if (bytes instanceof Uint8Array) bundle[type] = Buffer.from(bytes).toString("base64");
  }
  for (const type of MARKUP) {
    const text = forms.get(type);
    if (trusted && typeof text === "string") bundle[type] = text;
  }
  if (bundle["text/html"] === undefined && !trusted) {
    const html = asText(repr, host, forms);
    if (html !== null) bundle["text/html"] = html;
  }
  return bundle;
}

function asText(repr: string, host: string, forms: ObjectView["forms"]): string | null {
  const svg = forms.get(SVG);
  // As an image it runs nothing.
  if (typeof svg === "string") {
    return `<img alt="${escapeHtml(repr)}" src="data:${SVG};base64,${Buffer.from(svg, "utf8").toString("base64")}">`;
  }
  const html = forms.get("text/html");
  if (typeof html !== "string" || IMAGES.some((type) => forms.has(type))) return null;
  const summary = `HTML of ${host}, which is not trusted, as text`;
  return (
    `<pre>${escapeHtml(repr)}</pre>` +
    `<details><summary>${escapeHtml(summary)}</summary><pre>${escapeHtml(html)}</pre></details>`
  );
}
