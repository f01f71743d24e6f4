/** Whether a cell can be executed as it stands: consoles ask at each Enter. */
import type { SourceFile } from "typescript";
import type { TypeScript } from "./source/typescript";
import { type Content } from "./message";

interface ParseDiagnostic {
  readonly code: number;
  readonly start: number;
  readonly length: number;
}

/** What is open at the end of the text: template, comment. */
const OPEN = new Set([1160, 1010]);
const INDENT = "  ";

/** The content of an is_complete_reply. @param code without magics. */
export function completeness(typescript: TypeScript, code: string): Content {
  const file = typescript.createSourceFile(
    "cell.tsx",
    code,
    typescript.ScriptTarget.Latest,
    false,
    typescript.ScriptKind.TS,
  );
  const problems = (file as SourceFile & { readonly parseDiagnostics: readonly ParseDiagnostic[] }).parseDiagnostics;
  const first = problems[0];
  if (!first) return { status: "complete" };
  const end = code.trimEnd().length;
  const open = OPEN.has(first.code) || first.start >= end;
  // Two empty lines end what is open, as consoles need a way out.
  if (!open || /\n[ \t]*\n[ \t]*$/.test(code)) return { status: open ? "complete" : "invalid" };
  return { status: "incomplete", indent: indentAfter(code) };
}

function indentAfter(code: string): string {
  const line = code.trimEnd().split("\n").at(-1) ?? "";
  const now = /^[ \t]*/.exec(line)?.[0] ?? "";
  return /[{([]$|=>$/.test(line) ? now + INDENT : now;
}
