/** What cells may use of the notebook that they are in. Outside notebooks the terminal takes its place, as far as it can. */
import { createInterface } from "readline/promises";
import { inspect } from "util";
import { type NotebookHost, notebookHost } from "./host";
import { type MimeBundle, bundleOf } from "./jupyter";

/**
 * Shows a value below the cell: a task, a table, or anything else, as it shows itself. (IPython: `display`.)
 *
 * @param value a bundle of representations by MIME type is shown as it is.
 * @param options with a `displayId`, a later call with the same one replaces what is shown; the first one of a cell shows it there, too.
 * @example
 * ```ts
 * display({ "text/html": "<b>half way</b>", "text/plain": "half way" }, { displayId: "progress" });
 * ```
 */
export function display(value: unknown, options: { displayId?: string } = {}): void {
  const host = notebookHost();
  const bundle = bundleOf(value) ?? asBundle(value) ?? host?.bundleOf?.(value) ?? { "text/plain": textOf(value) };
  const { displayId } = options;
  if (!host) console.log(bundle["text/plain"]);
  else if (displayId === undefined) host.display(bundle);
  else host.display(bundle, { displayId, update: wasShown(host, displayId) });
}

/** Removes what the cell has shown so far. (IPython: `clear_output`.) @param wait true: when something new comes. */
export function clearOutput(wait = false): void {
  notebookHost()?.clearOutput(wait);
}

/** Shows a text in the notebook's pager, when the cell has ended. (IPython: `page`.) */
export function page(value: unknown): void {
  const bundle = bundleOf(value) ?? { "text/plain": textOf(value) };
  const host = notebookHost();
  if (host) host.page(bundle);
  else console.log(bundle["text/plain"]);
}

/**
 * Asks whoever runs the cell for a line. (Python: `input`, `getpass`.)
 *
 * @param options with `password`, what is typed is not shown.
 * @throws Error, as a rejection, where nobody can be asked, and when the cell is interrupted.
 * @example
 * ```ts
 * const name = await readLine("Your name: ");
 * ```
 */
export async function readLine(prompt = "", options: { password?: boolean } = {}): Promise<string> {
  const host = notebookHost();
  if (host) return host.readLine(prompt, options.password ?? false);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return await terminal.question(prompt);
  } finally {
    terminal.close();
  }
}

/** What the latest cell has shown. */
const shown = new WeakMap<NotebookHost, { readonly cell: number | null; readonly ids: Set<string> }>();

/** A cell that is executed again begins anew: clients have removed what it showed before. */
function wasShown(host: NotebookHost, displayId: string): boolean {
  const cell = host.runningCell;
  let known = shown.get(host);
  // What goes on after its cell goes on showing there.
  if (!known || (cell !== null && cell !== known.cell)) known = { cell, ids: new Set() };
  shown.set(host, known);
  const before = known.ids.has(displayId);
  known.ids.add(displayId);
  return before;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : inspect(value);
}

/** MIME types are the only names with a slash that anybody gives to properties. */
function asBundle(value: unknown): MimeBundle | null {
  if (typeof value !== "object" || value === null) return null;
  const names = Object.keys(value);
  if (names.length === 0 || !names.every((name) => /^[a-z]+\/[\w.+-]+$/.test(name))) return null;
  return { "text/plain": "", ...value };
}
