/** `%lazycluster …` lines and `%%lazycluster …` cells, made TypeScript. Lines keep their numbers. */
import { type Edit, positionOf } from "./edits";
import { magicPlace } from "./magic-place";
import type { TypeScript } from "./typescript";

export const MAGIC = "lazycluster";

/** How cells reach the kernel. It is no name that a cell could collide with by accident. */
export const CELL_GLOBAL = "__lazycluster__";
const CALL = `globalThis[${JSON.stringify(CELL_GLOBAL)}]`;

/** Something in a cell that is refused before it is compiled. */
export class CellSyntaxError extends Error {
  constructor(
    message: string,
    /** From 0. */
    readonly line: number,
    readonly column: number,
  ) {
    super(message);
  }
}

/** A sign with a name. */
const SIGN = /%(%?[A-Za-z][\w-]*)/g;
/** What may come before it in its line: nothing, or an assignment. */
const LEAD = /^[ \t]*$|(?:^|[^=!<>])=[ \t]*$/;
/** Two words behind each other are no arithmetic. */
const WORDS = /^[ \t]+(?:[A-Za-z]|--[a-z])/;
/** A cell for something else, below nothing but comments. */
const CELL = /^(?:\s|\/\/[^\n]*\n|\/\*(?:(?!\*\/)[\s\S])*\*\/)*%%([A-Za-z][\w-]*)[ \t]*([^\n]*)(?:\n([\s\S]*))?$/;

export interface CellMagic {
  readonly line: string;
  readonly body: string;
}

/** The cell as `%%lazycluster` cell; null when it is none. */
export function cellMagic(code: string): CellMagic | null {
  const found = CELL.exec(code);
  if (!found) return null;
  const [, name = "", line = "", body = ""] = found;
  if (name !== MAGIC) throw unknownMagic(code, code.search(/%%[A-Za-z]/), `%%${name}`);
  return { line: line.trim(), body: body.replace(/\r\n/g, "\n") };
}

/** Whether the cell is one of another language, even one that there is not. */
export function isCellMagic(code: string): boolean {
  return CELL.test(code);
}

export interface LineMagic {
  /** Of the `%` sign. */
  readonly start: number;
  readonly end: number;
  /** Its data is used. */
  readonly value: boolean;
  /** A statement ends with it. */
  readonly ends: boolean;
  /** What comes after the name. */
  readonly text: string;
}

/** The magic lines of a cell. Throws CellSyntaxError for a magic that there is not. */
export function lineMagics(typescript: TypeScript, code: string): LineMagic[] {
  if (!code.includes("%")) return [];
  const found: LineMagic[] = [];
  // What comes before a sign, without the magics of before: they are no TypeScript.
  let before = "";
  let start = 0;
  for (const whole of code.split("\n")) {
    const line = whole.replace(/\r$/, "");
    const magic = magicOf(typescript, before, line, code, start);
    if (magic) found.push(magic);
    before += magic
      ? `${line.slice(0, magic.start - start)}${magic.value ? "0" : ""}${magic.ends ? ";" : ""}\n`
      : `${line}\n`;
    start += whole.length + 1;
  }
  return found;
}

function magicOf(
  typescript: TypeScript,
  before: string,
  line: string,
  code: string,
  lineStart: number,
): LineMagic | null {
  for (const { 0: sign, 1: name = "", index = 0 } of line.matchAll(SIGN)) {
    const lead = line.slice(0, index);
    if (!LEAD.test(lead)) continue;
    const rest = line.slice(index + sign.length);
    const place = magicPlace(typescript, before + lead);
    if (place.kind === "none") continue;
    if (place.kind === "operator" && (name !== MAGIC || !WORDS.test(rest))) continue;
    const start = lineStart + index;
    if (name !== MAGIC) throw unknownMagic(code, start, sign);
    return {
      start,
      end: lineStart + line.length,
      value: place.kind === "value",
      ends: place.kind !== "value" || place.ends,
      text: rest.trim().replace(/\s*;$/, ""),
    };
  }
  return null;
}

/** The edits that make TypeScript of the magic lines. */
export function magicEdits(magics: readonly LineMagic[]): Edit[] {
  return magics.map(({ start, end, value, ends, text }) => ({
    start,
    end,
    text: `await ${CALL}.${value ? "value" : "line"}(${JSON.stringify(text)})${ends ? ";" : ""}`,
  }));
}

/** What Python binds at the top level of a cell: functions, classes, variables. */
const BINDING =
  /^(?:async[ \t]+)?(?:def|class)[ \t]+([A-Za-z]\w*)|^([A-Za-z]\w*)[ \t]*(?::[^=\n]+)?=(?!=)|^(?:from\s+\S+\s+)?import\s+(?:.*\bas[ \t]+)?([A-Za-z]\w*)[ \t]*$/gm;

/** The cell as TypeScript: a call, whose data becomes the variables that the cell makes. */
export function cellMagicCall({ line, body }: CellMagic): string {
  const call = `await ${CALL}.cell(${JSON.stringify(line)}, ${JSON.stringify(body)})`;
  const name = /(?:^|\s)--name[ \t=]+([A-Za-z_$][\w$]*)/.exec(line)?.[1];
  if (name !== undefined) return `const ${name}: any = ${call};`;
  if (!/^define\b/.test(line)) return `void (${call});`;
  const bound = [...body.matchAll(BINDING)].map((found) => found[1] ?? found[2] ?? found[3] ?? "");
  const names = [...new Set(bound)].filter((word) => !RESERVED.has(word));
  return names.length === 0 ? `void (${call});` : `const { ${names.join(", ")} }: any = ${call};`;
}

/** Names of Python that are no names of TypeScript. */
const RESERVED = new Set(
  "arguments await break case catch const continue debugger default delete do enum eval export extends false finally function if implements in instanceof interface let new null package private protected public return static super switch this throw true try typeof var void while with yield".split(
    " ",
  ),
);

/** For questions about other lines: the same length, and no error. */
export function withoutMagics(code: string, magics: readonly LineMagic[]): string {
  let text = code;
  for (const { start, end, value } of magics) {
    const filler = value ? "null as any" : ";";
    text = text.slice(0, start) + filler.padEnd(end - start).slice(0, end - start) + text.slice(end);
  }
  return text;
}

function unknownMagic(code: string, offset: number, written: string): CellSyntaxError {
  const { line, column } = positionOf(code, offset);
  if (written === `%%${MAGIC}`) {
    return new CellSyntaxError(`${written} begins a cell: before it, there may only be comments.`, line, column);
  }
  const sign = written.startsWith("%%") ? "%%" : "%";
  return new CellSyntaxError(`There is no ${written} in this kernel. Did you mean ${sign}${MAGIC}?`, line, column);
}
