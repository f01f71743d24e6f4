/** A task as a small table, plain and HTML. Pure: it takes the data that it shows. */
import { type MimeBundle, escapeHtml, textBox } from "./jupyter";
import { htmlCell, stateColour } from "./table";
import { columns, formatDuration } from "./text";
import { type TransferView, shareOf, transferText } from "./transfer-view";

export interface StepView {
  readonly description: string;
  readonly state: string;
  readonly exitCode: number | null;
  readonly durationMs: number | null;
  /** Of a step that moves files; null: nothing to say. */
  readonly transfer: TransferView | null;
}

export interface TaskView {
  readonly name: string;
  readonly host: string | null;
  readonly state: string;
  readonly durationMs: number | null;
  readonly steps: readonly StepView[];
  /** The last lines of output. */
  readonly output: string;
  readonly error: string | null;
  readonly logFile: string | null;
}

export function taskBundle(view: TaskView): MimeBundle {
  return { "text/plain": taskText(view), "text/html": taskHtml(view) };
}

function rows(view: TaskView): string[][] {
  return view.steps.map((step, index) => [
    String(index),
    step.description,
    step.state === "new" ? "waiting" : step.state,
    [
      transferText(step.transfer, step.state === "running"),
      step.exitCode === null || step.exitCode === 0 ? "" : `exit code ${String(step.exitCode)}`,
    ]
      .filter(Boolean)
      .join(", "),
    step.durationMs === null ? "" : formatDuration(step.durationMs),
  ]);
}

function headline(view: TaskView): string {
  const where = view.host === null ? "not executed yet" : `${view.state} on ${view.host}`;
  const duration = view.durationMs === null ? "" : `, ${formatDuration(view.durationMs)}`;
  return `${where}${duration}`;
}

export function taskText(view: TaskView): string {
  const lines = [`Task ${view.name}: ${headline(view)}`, ...columns(rows(view)).map((line) => `  ${line}`)];
  if (view.error !== null) lines.push(view.error);
  return lines.join("\n");
}

/** A box that is too small for its content shows the end of it: the last lines are those that count. */
const SHOWS_END = "display:flex;flex-direction:column-reverse";

/** While a transfer runs whose end is known. */
function bar(step: StepView | undefined): string {
  const share = step?.state === "running" ? shareOf(step.transfer) : null;
  return share === null ? "" : `<td><progress value="${share.toFixed(3)}" max="1" style="width:8em"></progress></td>`;
}

function taskHtml(view: TaskView): string {
  const colour = stateColour(view.state) ?? "inherit";
  const body = rows(view)
    .map((row, index) => `<tr>${row.map((text) => htmlCell(text)).join("")}${bar(view.steps[index])}</tr>`)
    .join("");
  const block = (text: string, style: string, content: string): string =>
    text === ""
      ? ""
      : `<div style="max-height:12em;overflow:auto;margin:4px 0;${style}">` +
        `<pre style="margin:0;flex:none;${content}">${escapeHtml(text)}</pre></div>`;
  return textBox(
    `<b>${escapeHtml(view.name)}</b> <span style="color:${colour}">${escapeHtml(headline(view))}</span>` +
      `<table><tbody>${body}</tbody></table>` +
      block(view.error ?? "", "", "color:#d32f2f") +
      block(view.output, SHOWS_END, "") +
      (view.logFile === null ? "" : `<small style="overflow-wrap:anywhere">${escapeHtml(view.logFile)}</small>`),
  );
}
