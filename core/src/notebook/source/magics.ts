/** `%lazycluster …` lines and `%%lazycluster …` cells, made TypeScript. Lines keep their numbers. */
import type * as ts from "typescript";
import { type Edit, positionOf } from "./edits";

export type TypeScript = typeof ts;

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

/** A line that may be a magic: indentation, what it is assigned to, its name, the rest. */
const LINE = /^([ \t]*)((?:(?:const|let|var)[ \t]+[^=\n]+|[\w$.[\]'"]+[ \t]*)=[ \t]*)?%(%?[A-Za-z][\w-]*)(.*)$/;
const CELL = /^\s*%%([A-Za-z][\w-]*)[ \t]*([^\n]*)(?:\n([\s\S]*))?$/;

/** What says that a text ends inside a template or a comment. */
const UNTERMINATED_TEMPLATE = 1160;
const UNTERMINATED_COMMENT = 1010;

export interface CellMagic {
  readonly line: string;
  readonly body: string;
}

/** The cell as `%%lazycluster` cell; null when it is none. */
export function cellMagic(code: string): CellMagic | null {
  const found = CELL.exec(code);
  if (!found) return null;
  if (found[1] !== MAGIC) throw unknownMagic(code, code.indexOf("%%"), `%%${found[1] ?? ""}`);
  return { line: (found[2] ?? "").trim(), body: found[3] ?? "" };
}

export interface LineMagic {
  /** Of the `%` sign. */
  readonly start: number;
  readonly end: number;
  readonly assigned: boolean;
  /** What comes after the name. */
  readonly text: string;
}

/** The magic lines of a cell. Throws CellSyntaxError for a magic that there is not. */
export function lineMagics(typescript: TypeScript, code: string): LineMagic[] {
  if (!code.includes("%")) return [];
  const found: LineMagic[] = [];
  // What comes before a line, without the magics of before: they are no TypeScript.
  let before = "";
  let start = 0;
  for (const line of code.split("\n")) {
    const match = LINE.exec(line);
    const sign = start + (match?.[1]?.length ?? 0) + (match?.[2]?.length ?? 0);
    if (match && isStatement(typescript, before, match)) {
      const [, , target, name, rest = ""] = match;
      if (name !== MAGIC) throw unknownMagic(code, sign, `%${name ?? ""}`);
      found.push({
        start: sign,
        end: start + line.length,
        assigned: target !== undefined,
        text: rest.trim().replace(/\s*;$/, ""),
      });
      before += `${target === undefined ? "" : `${target}0`};\n`;
    } else {
      before += `${line}\n`;
    }
    start += line.length + 1;
  }
  return found;
}

/** The edits that make TypeScript of the magic lines. */
export function magicEdits(magics: readonly LineMagic[]): Edit[] {
  return magics.map(({ start, end, assigned, text }) => ({
    start,
    end,
    text: `await ${CALL}.${assigned ? "value" : "line"}(${JSON.stringify(text)});`,
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
  for (const { start, end, assigned } of magics) {
    const filler = assigned ? "null as any" : ";";
    text = text.slice(0, start) + filler.padEnd(end - start).slice(0, end - start) + text.slice(end);
  }
  return text;
}

/** False inside templates and comments, and where the sign is a remainder: `total⏎%lazycluster`. */
function isStatement(typescript: TypeScript, before: string, match: RegExpExecArray): boolean {
  const [, , target, name = "", rest = ""] = match;
  const file = typescript.createSourceFile("cell.ts", before, typescript.ScriptTarget.Latest);
  const problems = (file as unknown as { parseDiagnostics?: readonly { code: number }[] }).parseDiagnostics ?? [];
  if (problems.some(({ code }) => code === UNTERMINATED_TEMPLATE || code === UNTERMINATED_COMMENT)) return false;
  // In a comment of its own line the expression above cannot match: `//` is no indentation.
  if (target !== undefined) return true;
  const last = before.slice(0, file.endOfFileToken.pos).trimEnd();
  const endsExpression = /[\w$)\]'"`]$/.test(last);
  // Two words behind each other are no arithmetic.
  return !endsExpression || (name === MAGIC && /^[ \t]+(?:[A-Za-z]|--[a-z])/.test(rest));
}

function unknownMagic(code: string, offset: number, written: string): CellSyntaxError {
  const { line, column } = positionOf(code, offset);
  const sign = written.startsWith("%%") ? "%%" : "%";
  return new CellSyntaxError(`There is no ${written} in this kernel. Did you mean ${sign}${MAGIC}?`, line, column);
}
