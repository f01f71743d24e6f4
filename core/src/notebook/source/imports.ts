/** `const fs = await import("fs")`: its type is told by name, for that of a whole module cannot be written down otherwise. */
import type * as ts from "typescript";
import type { Edit } from "./edits";
import type { TypeScript } from "./typescript";

/** The edits that name the types of modules that a cell imports dynamically into a variable. */
export function dynamicImportEdits(typescript: TypeScript, code: string): Edit[] {
  if (!/\bimport\s*\(/.test(code)) return [];
  const file = typescript.createSourceFile("cell.ts", code, typescript.ScriptTarget.Latest, true);
  const edits: Edit[] = [];
  for (const statement of file.statements) {
    if (!typescript.isVariableStatement(statement)) continue;
    for (const { name, type, initializer } of statement.declarationList.declarations) {
      const module = initializer && importedModule(typescript, initializer);
      if (!module || type || !typescript.isIdentifier(name)) continue;
      edits.push({ start: name.end, end: name.end, text: `: typeof import(${JSON.stringify(module)})` });
    }
  }
  return edits;
}

function importedModule(typescript: TypeScript, expression: ts.Expression): string | null {
  if (!typescript.isAwaitExpression(expression) || !typescript.isCallExpression(expression.expression)) return null;
  const { expression: called, arguments: given } = expression.expression;
  const [module] = given;
  if (called.kind !== typescript.SyntaxKind.ImportKeyword || !module || !typescript.isStringLiteralLike(module)) {
    return null;
  }
  return module.text;
}
