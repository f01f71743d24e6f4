/** What a task printed, plain and HTML. Pure. */
import { type MimeBundle, escapeHtml, textBox } from "./jupyter";

export interface LogView {
  readonly title: string;
  readonly text: string;
  /** [bytes] before the text. */
  readonly omitted: number;
  readonly logFile: string;
}

export function logBundle({ title, text, omitted, logFile }: LogView): MimeBundle {
  const note = omitted === 0 ? "" : `[${String(omitted)} bytes before this are in ${logFile}]\n`;
  const body = note + text.replace(/\n$/, "");
  return {
    "text/plain": body === "" ? title : `${title}\n${body}`,
    "text/html": textBox(
      `<b>${escapeHtml(title)}</b>` +
        `<pre style="max-height:24em;overflow:auto;margin:4px 0">${escapeHtml(body)}</pre>` +
        `<small>${escapeHtml(logFile)}</small>`,
    ),
  };
}
