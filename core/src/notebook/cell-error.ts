/** A cell's error as Jupyter shows it: name, message, and a traceback with the lines of the cell. */
import { dirname, join } from "path";
import { inspect } from "util";
import type { Place } from "./source-map";

export interface CellError {
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: readonly string[];
}

/** What the compiler has to say about a cell. Line and column from 1. */
export interface Diagnostic extends Place {
  readonly message: string;
  /** Of another file than the cell. */
  readonly file: string | null;
}

/** The place of a line of a stack in the cell that it names. */
export type Locate = (cell: number, line: number, column: number) => Place | null;

/** How a cell is called in stacks. */
export function cellName(id: number): string {
  return `In[${String(id)}]`;
}

/** Where our own code is; nobody who writes cells wants to read about it. */
const OUR_FOLDERS = [join(__dirname, ".."), dirname(process.argv[1] ?? __dirname)];
const CELL_PLACE = /In\[(-?\d+)\]:(\d+):(\d+)/g;
/** Lines of code that are shown around the one that is meant. */
const CONTEXT = 2;

export function syntaxError(id: number, source: string, diagnostics: readonly Diagnostic[]): CellError {
  const traceback = diagnostics.flatMap(({ message, file, line, column }) => [
    `${file ?? cellName(id)}:${String(line)}:${String(column)} - ${message}`,
    ...(file === null ? codeFrame(source, { line, column }) : []),
  ]);
  const first = diagnostics[0];
  const where = first ? `line ${String(first.line)}: ` : "";
  return { ename: "TypeScriptError", evalue: `${where}${first?.message ?? "the cell does not compile"}`, traceback };
}

/** @param sourceOf the text of a cell, for the line that is shown. */
export function runtimeError(error: unknown, locate: Locate, sourceOf: (cell: number) => string | null): CellError {
  if (!(error instanceof Error) && !isErrorLike(error)) {
    const text = typeof error === "string" ? error : inspect(error);
    return { ename: "Error", evalue: text, traceback: [`Uncaught ${text}`] };
  }
  const { name, message } = error;
  const frames = framesOf(error, locate);
  const head = `${name}: ${message}`;
  const place = firstPlace(frames);
  const source = place && sourceOf(place.cell);
  return {
    ename: name,
    evalue: message,
    traceback: [
      ...head.split("\n"),
      ...(place && source ? codeFrame(source, place) : []),
      ...frames,
      ...moreOf(error, locate),
    ],
  };
}

/** The stack with places of cells, without the kernel's own lines. */
export function framesOf(error: Error, locate: Locate): string[] {
  const lines = (error.stack ?? "").split("\n");
  const first = lines.findIndex((line) => /^\s+at /.test(line));
  if (first < 0) return [];
  const frames = lines.slice(first).filter((line) => !OUR_FOLDERS.some((folder) => line.includes(folder)));
  const last = frames.reduce((found, line, index) => (line.includes("In[") ? index : found), -1);
  const users =
    last < 0
      ? frames.filter((line) => !/\bnode:|[\\/](?:tslab|lazycluster)[\\/]/.test(line))
      : frames.slice(0, last + 1);
  return users.flatMap((line) => {
    // What is nowhere in the cell is what the compiler put around it.
    const unknown: string[] = [];
    const shown = line.replace(CELL_PLACE, (_, cell: string, row: string, column: string) => {
      const place = locate(Number(cell), Number(row), Number(column));
      if (!place) unknown.push(cell);
      return place ? `${cellName(Number(cell))}:${String(place.line)}:${String(place.column)}` : "";
    });
    // Functions of former cells are called through tslab's proxy of all names.
    return unknown.length === 0 ? [shown.replace(/\bProxy\./, "")] : [];
  });
}

/** What else an error carries: its cause, the errors that it stands for. */
function moreOf(error: Error, locate: Locate): string[] {
  const { cause } = error;
  if (!(cause instanceof Error)) return [];
  return [`Caused by ${cause.name}: ${cause.message}`, ...framesOf(cause, locate)];
}

function firstPlace(frames: readonly string[]): (Place & { cell: number }) | null {
  for (const frame of frames) {
    const found = /In\[(-?\d+)\]:(\d+):(\d+)/.exec(frame);
    if (found) return { cell: Number(found[1]), line: Number(found[2]), column: Number(found[3]) };
  }
  return null;
}

/** The line that is meant, with its neighbours and a mark below the column. */
function codeFrame(source: string, { line, column }: Place): string[] {
  const lines = source.split("\n");
  if (line > lines.length) return [];
  const from = Math.max(1, line - CONTEXT);
  const to = Math.min(lines.length, line + CONTEXT);
  const width = String(to).length;
  const shown: string[] = [];
  for (let at = from; at <= to; at++) {
    shown.push(`${at === line ? ">" : " "} ${String(at).padStart(width)} | ${lines[at - 1] ?? ""}`.trimEnd());
    if (at === line) shown.push(`  ${" ".repeat(width)} | ${" ".repeat(Math.max(0, column - 1))}^`);
  }
  return shown;
}

/** Errors of another realm, such as those of `vm`, are no `instanceof` of ours. */
function isErrorLike(value: unknown): value is Error {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as Partial<Error>).name === "string" &&
    typeof (value as Partial<Error>).message === "string" &&
    typeof (value as Partial<Error>).stack === "string"
  );
}
