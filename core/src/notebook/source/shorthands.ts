/** `{ total }`: tslab's compiler finds a variable of a former cell only where it stands alone. */
import type { Edit } from "./edits";
import type * as ts from "typescript";
import type { TypeScript } from "./typescript";

const MAYBE = /[{,]\s*[\w$]+\s*[,}]/;

/** The edits that make `{ total: total }` of it, in object literals. */
export function shorthandEdits(typescript: TypeScript, code: string): Edit[] {
  if (!MAYBE.test(code)) return [];
  const file = typescript.createSourceFile("cell.ts", code, typescript.ScriptTarget.Latest);
  const edits: Edit[] = [];
  const visit = (node: ts.Node): void => {
    if (typescript.isShorthandPropertyAssignment(node) && !node.objectAssignmentInitializer) {
      edits.push({ start: node.name.end, end: node.name.end, text: `: ${node.name.text}` });
    }
    typescript.forEachChild(node, visit);
  };
  visit(file);
  return edits;
}
