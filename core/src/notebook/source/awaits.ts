/** What a cell awaits, handed to the kernel: so an interrupt can end it, and what was not awaited goes on. */
import type * as ts from "typescript";
import type { Edit } from "./edits";
import { CELL_GLOBAL } from "./magics";
import type { TypeScript } from "./typescript";

export interface Awaits {
  readonly edits: readonly Edit[];
  /** Some of them are outside every function. */
  readonly topLevel: boolean;
}

/**
 * In compiled code of the cell 7: `await x` outside functions becomes `await __lazycluster__.wait(7, async () => (x))`, in
 * functions `await __lazycluster__.pass(x)`, and `for await` loops likewise. No line is added.
 */
export function awaitEdits(typescript: TypeScript, code: string, cell: number): Awaits {
  if (!code.includes("await")) return { edits: [], topLevel: false };
  // Only in a module `await (x)` is no call of a function of that name.
  const file = typescript.createSourceFile("cell.js", `${code}\nexport {};`, typescript.ScriptTarget.Latest, true);
  const edits: Edit[] = [];
  let topLevel = false;
  const insert = (at: number, text: string): void => void edits.push({ start: at, end: at, text });
  const around = (node: ts.Node, before: string, after: string): void => {
    insert(node.getStart(file), before);
    insert(node.end, after);
  };
  const visit = (node: ts.Node, inFunction: boolean): void => {
    if (typescript.isAwaitExpression(node)) {
      topLevel ||= !inFunction;
      if (inFunction) around(node.expression, ` ${CELL_GLOBAL}.pass(`, ")");
      else around(node.expression, ` ${CELL_GLOBAL}.wait(${String(cell)}, async () => (`, "))");
    } else if (typescript.isForOfStatement(node) && node.awaitModifier) {
      topLevel ||= !inFunction;
      const call = inFunction ? "passEach(" : `waitEach(${String(cell)}, `;
      around(node.expression, `${CELL_GLOBAL}.${call}`, ")");
    }
    const deeper = inFunction || typescript.isFunctionLike(node) || typescript.isClassStaticBlockDeclaration(node);
    typescript.forEachChild(node, (child) => visit(child, deeper));
  };
  visit(file, false);
  return { edits, topLevel };
}
