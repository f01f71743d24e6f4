/** Just enough of Python's syntax to know which functions a source defines. Pure. */

/** Removes the indentation that all lines share, so that a template may stand in indented TypeScript. */
export function dedent(text: string): string {
  const lines = text.replace(/\r\n/g, "\n").split("\n");
  let margin: string | null = null;
  for (const line of lines) {
    if (line.trim() === "") continue;
    const indent = /^[ \t]*/.exec(line)?.[0] ?? "";
    margin = margin === null ? indent : commonPrefix(margin, indent);
  }
  const width = margin?.length ?? 0;
  return lines.map((line) => (line.trim() === "" ? "" : line.slice(width))).join("\n");
}

/** Names of the functions at the top level, in order. */
export function definedFunctions(source: string): string[] {
  const code = blankStrings(source);
  return [...code.matchAll(/^(?:async[ \t]+)?def[ \t]+([\p{L}_][\p{L}\p{N}_]*)[ \t]*[([]/gmu)].map(
    (match) => match[1] ?? "",
  );
}

/** The source with the contents of its strings and comments as blanks, newlines kept. */
function blankStrings(source: string): string {
  // A comment, or a string with its prefix: triple-quoted ones first. One that is not closed reaches to the end.
  const token =
    /#[^\n]*|[A-Za-z]{0,2}("""|''')(?:\\[\s\S]|(?!\1)[\s\S])*(?:\1|$)|"(?:\\[\s\S]|[^"\\\n])*"?|'(?:\\[\s\S]|[^'\\\n])*'?/g;
  return source.replace(token, (text) => text.replace(/[^\n]/g, " ").replace(/\n/g, "\n "));
}

function commonPrefix(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return a.slice(0, length);
}
