/** Whether a `%` behind some code could begin a magic, as the compiler's own parser understands that code. */
import type * as ts from "typescript";
import type { TypeScript } from "./typescript";

/**
 * - `statement`: one could begin here.
 * - `value`: something is expected here, as behind `=`; `ends`: with it the statement is complete.
 * - `operator`: it is a remainder, or a statement where the line before needs no semicolon.
 * - `none`: the place is in a string, a template, a comment, a type, or where nothing could begin.
 */
export type MagicPlace =
  { readonly kind: "statement" | "operator" | "none" } | { readonly kind: "value"; readonly ends: boolean };

const PROBE = "__lazycluster_probe__";

export function magicPlace(typescript: TypeScript, before: string): MagicPlace {
  const file = typescript.createSourceFile("cell.ts", `${before}%${PROBE}`, typescript.ScriptTarget.Latest, true);
  const remainder = findProbe(typescript, file, before.length)?.parent;
  if (!remainder || !typescript.isBinaryExpression(remainder)) return { kind: "none" };
  if (remainder.operatorToken.getStart(file) !== before.length) return { kind: "none" };
  // For the parser, the sign is always a remainder; what has to be on its left may be missing.
  const left = lastOf(typescript, remainder.left);
  if (!typescript.isIdentifier(left) || left.text !== "") return { kind: "operator" };
  const whole = wholeOf(typescript, left);
  if (typescript.isExpressionStatement(whole.parent)) return { kind: "statement" };
  return { kind: "value", ends: endsStatement(typescript, whole) };
}

/** Undefined where the probe is part of something else. */
function findProbe(typescript: TypeScript, node: ts.Node, from: number): ts.Node | undefined {
  if (typescript.isIdentifier(node) && node.text === PROBE) return node;
  return typescript.forEachChild(node, (child) => (child.end > from ? findProbe(typescript, child, from) : undefined));
}

/** What stands directly before the sign. */
function lastOf(typescript: TypeScript, node: ts.Node): ts.Node {
  let last: ts.Node | undefined;
  typescript.forEachChild(node, (child) => void (last = child));
  return last === undefined ? node : lastOf(typescript, last);
}

/** The expression that begins with what is missing. */
function wholeOf(typescript: TypeScript, missing: ts.Node): ts.Node {
  let whole = missing;
  while (typescript.isBinaryExpression(whole.parent) && whole.parent.left === whole) whole = whole.parent;
  return whole;
}

function endsStatement(typescript: TypeScript, expression: ts.Node): boolean {
  let { parent } = expression;
  while (
    typescript.isBinaryExpression(parent) ||
    typescript.isVariableDeclaration(parent) ||
    (typescript.isVariableDeclarationList(parent) && typescript.isVariableStatement(parent.parent))
  ) {
    ({ parent } = parent);
  }
  return typescript.isVariableStatement(parent) || typescript.isExpressionStatement(parent);
}
