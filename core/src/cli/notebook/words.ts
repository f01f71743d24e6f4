/** The words of a magic line, as a shell would cut them, without anything that a shell would put in their place. */
import { InvalidArgumentError } from "../../errors";

/**
 * What comes behind `--` is one word, as it was typed: it is a command for a host's shell. Throws InvalidArgumentError for
 * a quote that does not end.
 */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  const pattern = /\s*((?:[^\s"'\\]|\\[\s\S]|"(?:[^"\\]|\\[\s\S])*"|'[^']*')+)/y;
  for (;;) {
    const start = pattern.lastIndex;
    const found = pattern.exec(line);
    if (!found) {
      const rest = line.slice(start).trim();
      if (rest === "") return words;
      throw new InvalidArgumentError(`A quote does not end: ${rest}`);
    }
    const raw = found[1] ?? "";
    if (raw === "--") {
      const rest = line.slice(pattern.lastIndex).trim();
      return [...words, "--", ...(rest === "" ? [] : [rest])];
    }
    words.push(unquote(raw));
  }
}

function unquote(raw: string): string {
  return raw.replace(
    /"((?:[^"\\]|\\[\s\S])*)"|'([^']*)'|\\([\s\S])/g,
    (_, double?: string, single?: string, escaped?: string) =>
      double !== undefined ? double.replace(/\\(["\\$`])/g, "$1") : (single ?? escaped ?? ""),
  );
}
