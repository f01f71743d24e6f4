/** Around tslab's converter: what a user may write in a cell and TypeScript does not know, and the way back from there. */
import type { Diagnostic } from "./cell-error";
import type { Converted, Converter, Completions, TslabDiagnostic, TslabParts } from "./executor-parts";
import type { CellTrail } from "./source-map";
import type { Awaits } from "./source/awaits";
import { type Edit, type Edited, applyEdits, offsetOf, positionOf } from "./source/edits";
import { dynamicImportEdits } from "./source/imports";
import { shorthandEdits } from "./source/shorthands";
import { CellSyntaxError, cellMagic, cellMagicCall, lineMagics, magicEdits, withoutMagics } from "./source/magics";

/** `export {};⏎`, which tslab puts before a cell. */
const ADDED_LINES = 1;
/** "… has or is using name … but cannot be named": the type of a variable cannot be written down for later cells. */
const UNNAMED_TYPES = new Set([4023, 4025, 4058, 4060, 2742, 2883, 7056]);
/** How the compiler writes a type of the cell where its name alone might mean another. */
const OWN_MODULE = /import\("[^"]*__tslab__"\)\./g;

export class CellCompiler implements Converter {
  /** What was wrong with the cell that was compiled last. */
  diagnostics: readonly Diagnostic[] = [];
  /** How the cell that was compiled last became what runs. */
  trail: Omit<CellTrail, "prefix"> | null = null;

  constructor(
    private readonly inner: Converter,
    private readonly parts: TslabParts,
    private readonly awaitsOf: (compiled: string) => Awaits,
  ) {}

  convert(previous: string, source: string): Converted {
    this.diagnostics = [];
    this.trail = null;
    let edits: readonly Edit[];
    let code = source;
    try {
      const cell = cellMagic(source);
      if (cell) code = cellMagicCall(cell);
      edits = cell ? [] : this.edits(source);
    } catch (error) {
      if (error instanceof CellSyntaxError) return this.refuse(error);
      throw error;
    }
    let rewritten = applyEdits(code, edits);
    let converted = this.inner.convert(previous, rewritten.text);
    const anyTyped = anyEdits(this.parts, rewritten.text, converted.diagnostics);
    if (anyTyped.length > 0) {
      rewritten = applyEdits(code, [
        ...edits,
        ...anyTyped.map((edit) => ({
          ...edit,
          start: rewritten.toOriginal(edit.start),
          end: rewritten.toOriginal(edit.end),
        })),
      ]);
      converted = this.inner.convert(previous, rewritten.text);
    }
    this.diagnostics = converted.diagnostics.map((found) => inCell(found, source, rewritten));
    if (converted.output === undefined) return converted;
    return this.guard(source, rewritten, converted, converted.output);
  }

  inspect(previous: string, source: string, position: number): unknown {
    return this.inner.inspect(previous, this.readable(source), position);
  }

  complete(previous: string, source: string, position: number): Completions {
    return this.inner.complete(previous, this.readable(source), position);
  }

  addModule(name: string, content: string, meta: unknown): readonly TslabDiagnostic[] {
    const found = this.inner.addModule(name, content, meta);
    this.diagnostics = found.map((diagnostic) => inCell(diagnostic, content, applyEdits(content, [])));
    return found;
  }

  close(): void {
    this.inner.close();
  }

  /** The cell as the compiler can read it: same places, no magics. */
  readable(source: string): string {
    try {
      return cellMagic(source) ? "" : withoutMagics(source, lineMagics(this.parts.typescript, source));
    } catch (error) {
      if (error instanceof CellSyntaxError) return source;
      throw error;
    }
  }

  private edits(source: string): Edit[] {
    const { typescript } = this.parts;
    const magics = lineMagics(typescript, source);
    const plain = withoutMagics(source, magics);
    return [...magicEdits(magics), ...dynamicImportEdits(typescript, plain), ...shorthandEdits(typescript, plain)];
  }

  /** What is awaited is awaited through the kernel. */
  private guard(source: string, rewritten: Edited, converted: Converted, output: string): Converted {
    const { edits, topLevel } = this.awaitsOf(output);
    const guarded = applyEdits(output, edits);
    const maps = this.parts.mapsOf(output);
    this.trail = { source, rewritten, addedLines: ADDED_LINES, maps, output, guarded };
    return { ...converted, output: guarded.text, hasToplevelAwait: topLevel };
  }

  private refuse({ message, line, column }: CellSyntaxError): Converted {
    this.diagnostics = [{ message, line: line + 1, column: column + 1, file: null }];
    const start = { offset: 0, line, character: column };
    return { diagnostics: [{ start, messageText: message, code: 0 }] };
  }
}

function inCell(found: TslabDiagnostic, source: string, rewritten: Edited): Diagnostic {
  const message = found.messageText.replace(OWN_MODULE, "");
  if (found.fileName !== undefined) {
    const { line, character } = found.start;
    return { message, line: line + 1, column: character + 1, file: found.fileName };
  }
  const offset = offsetOf(rewritten.text, found.start.line, found.start.character);
  const { line, column } = positionOf(source, rewritten.toOriginal(offset));
  return { message, line: line + 1, column: column + 1, file: null };
}

/** A variable whose type cannot be written down becomes `any` for later cells; that is better than no variable. */
function anyEdits({ typescript }: TslabParts, code: string, diagnostics: readonly TslabDiagnostic[]): Edit[] {
  if (diagnostics.length === 0 || !diagnostics.every(({ code: number }) => UNNAMED_TYPES.has(number))) return [];
  const file = typescript.createSourceFile("cell.ts", code, typescript.ScriptTarget.Latest, true);
  const at = diagnostics.map(({ start }) => offsetOf(code, start.line, start.character));
  return file.statements
    .flatMap((statement) =>
      typescript.isVariableStatement(statement) ? [...statement.declarationList.declarations] : [],
    )
    .filter(({ name, type }) => !type && at.some((offset) => offset >= name.getStart(file) && offset <= name.end))
    .map(({ name }) => ({ start: name.end, end: name.end, text: ": any" }));
}
