/** A cell's error as Jupyter shows it: name, message, and a traceback with the lines of the cell. */
import { inspect, types } from "util";
import { errorBundle } from "../display/error-view";
import type { MimeBundle } from "../display/jupyter";
import { oneLine } from "../display/text";
import { OUR_FOLDERS } from "./interrupt/own-code";
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

const CELL_PLACE = /In\[(-?\d+)\]:(\d+):(\d+)/g;
/** Lines of code that are shown around the one that is meant. */
const CONTEXT = 2;
/** Errors inside each other that are shown. */
const MOST_INSIDE = 20;
/** What an error's table has in a place of its own. */
const OWN_PLACE = new Set(["name", "message", "stack", "cause", "errors", "remoteTraceback", "output"]);
const PLAIN = new Set(["string", "number", "boolean", "bigint"]);

export function syntaxError(id: number, source: string, diagnostics: readonly Diagnostic[]): CellError {
  const traceback = diagnostics.flatMap(({ message, file, line, column }) => [
    `${file ?? cellName(id)}:${String(line)}:${String(column)} - ${message}`,
    ...(file === null ? codeFrame(source, { line, column }) : []),
  ]);
  const first = diagnostics[0];
  const where = first ? `line ${String(first.line)}: ` : "";
  return { ename: "TypeScriptError", evalue: `${where}${first?.message ?? "the cell does not compile"}`, traceback };
}

/** Whatever was thrown. Never throws. @param sourceOf the text of a cell, for the line that is shown. */
export function runtimeError(error: unknown, locate: Locate, sourceOf: (cell: number) => string | null): CellError {
  if (!isErrorLike(error)) {
    const text = typeof error === "string" ? error : inspected(error);
    return { ename: "Error", evalue: text, traceback: [`Uncaught ${text}`] };
  }
  const { name, message } = namesOf(error);
  const frames = framesOf(error, locate);
  const place = firstPlace(frames);
  const source = place && sourceOf(place.cell);
  return {
    ename: name,
    evalue: message,
    traceback: [
      ...headOf(error).split("\n"),
      ...(place && source ? codeFrame(source, place) : []),
      ...frames,
      ...moreOf(error, locate, new Set([error])),
    ],
  };
}

/** As a table: what the error says of itself, and its traceback. */
export function errorDisplay(error: object, { traceback }: CellError): MimeBundle {
  const details = Object.entries(Object.getOwnPropertyDescriptors(error)).flatMap(([name, { value, enumerable }]) => {
    const shown = enumerable && PLAIN.has(typeof value) && !OWN_PLACE.has(name) ? oneLine(String(value), 200) : "";
    return shown === "" ? [] : [[name, shown] as const];
  });
  return errorBundle({ title: headOf(error), details, trace: traceback.slice(headOf(error).split("\n").length) });
}

/** The stack with places of cells, without the kernel's own lines. */
function framesOf(error: object, locate: Locate): string[] {
  const lines = textOf(error, "stack").split("\n");
  const first = lines.findIndex((line) => /^\s+at /.test(line));
  if (first < 0) return [];
  // Nobody who writes cells wants to read about our own.
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

/** What else an error carries: Python's own traceback, its cause, the errors that it stands for. */
function moreOf(error: object, locate: Locate, seen: Set<unknown>): string[] {
  const remote = textOf(error, "remoteTraceback").trimEnd();
  const inside = (what: string, found: unknown): string[] => {
    if (!isErrorLike(found) || seen.has(found) || seen.size > MOST_INSIDE) return [];
    seen.add(found);
    return [`${what} ${headOf(found)}`, ...framesOf(found, locate), ...moreOf(found, locate, seen)];
  };
  const errors = valueOf(error, "errors");
  return [
    ...(remote === "" || textOf(error, "message").includes(remote) ? [] : remote.split("\n")),
    ...inside("Caused by", valueOf(error, "cause")),
    ...(Array.isArray(errors) ? errors.flatMap((found, index) => inside(`[${String(index)}]`, found)) : []),
  ];
}

function headOf(error: object): string {
  const { name, message } = namesOf(error);
  return message === "" ? name : `${name}: ${message}`;
}

/** Code may give an error anything for a name. */
function namesOf(error: object): { name: string; message: string } {
  return { name: textOf(error, "name") || "Error", message: textOf(error, "message") };
}

function textOf(error: object, name: string): string {
  const value = valueOf(error, name);
  return typeof value === "string" ? value : "";
}

function valueOf(error: object, name: string): unknown {
  try {
    return (error as Readonly<Record<string, unknown>>)[name];
  } catch {
    return undefined;
  }
}

function inspected(value: unknown): string {
  try {
    return inspect(value);
  } catch {
    return "something that cannot be shown";
  }
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
export function isErrorLike(value: unknown): value is object {
  try {
    return types.isNativeError(value) || value instanceof Error;
  } catch {
    // A proxy may throw at anything.
    return false;
  }
}
