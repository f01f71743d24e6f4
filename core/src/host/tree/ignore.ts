/** Which files of a folder are left out: `.lazyignore` files with the rules of `.gitignore`, at any depth. Pure. */
import ignore from "ignore";

/** Holds a rule per line, for its folder and what is below it. */
export const IGNORE_FILE = ".lazyignore";
/** What transfers collect and keep is no part of anybody's folder. */
const OURS = /(^|\/)\.lazycluster-([0-9a-f]{12}|[0-9a-f]{16}|partial-[0-9a-f]{16})(\/|$)/;

/** Stands for a question mark that is meant as one, which the package cannot express. */
const QUESTION = "\ue000";

export class IgnoreRules {
  private readonly rules = ignore({ ignorecase: false });
  private any = false;

  /** @param folder below the root; empty: the root itself. Folders come before those in them. */
  add(folder: string, text: string): void {
    for (const line of text.replace(/^\ufeff/, "").split(/\r?\n/)) {
      const rule = ruleBelow(folder, line);
      if (rule === null || !isUsable(rule)) continue;
      this.rules.add({ pattern: rule });
      this.any = true;
    }
  }

  /** Whether it is left out, with all that is in it. */
  ignores(path: string, isFolder: boolean): boolean {
    if (OURS.test(path)) return true;
    if (!this.any || path === "") return false;
    const shown = path.replace(/\?/g, QUESTION);
    return this.rules.ignores(isFolder ? `${shown}/` : shown);
  }
}

/** The rule of a file further down as one of the root; the last rule that fits decides. Null: a comment, or nothing. */
function ruleBelow(folder: string, line: string): string | null {
  if (line.trim() === "" || line.startsWith("#")) return null;
  const negated = line.startsWith("!");
  const body = (negated ? line.slice(1) : line)
    .replace(/^\\([!#])/, "$1")
    .replace(/\\\?/g, QUESTION)
    .replace(/(\*\*\/)+(?=\*\*)/g, "")
    .replace(/^\/(?=\*\*)/, "")
    .replace(/^\*\*(\s*)$/, "*$1")
    // What is below, without the folder itself.
    .replace(/\*\*\/\s*$/, "**/*/");
  // A slash in it, but at its end, binds it to its folder; else it fits at any depth.
  const bound = /\/(?=[^ ])/.test(body.replace(/\s+$/, "").replace(/\/$/, ""));
  const place = folder === "" ? "" : `/${folder.replace(/[\\*[\]!# ]/g, "\\$&").replace(/\?/g, QUESTION)}`;
  return `${negated ? "!" : ""}${place}/${bound ? body.replace(/^\//, "") : `**/${body}`}`;
}

/** To git, a pattern that is none fits nothing. */
function isUsable(rule: string): boolean {
  try {
    ignore().add({ pattern: rule }).ignores("x");
    return true;
  } catch {
    return false;
  }
}
