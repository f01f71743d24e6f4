/** Which files of a folder are left out: `.lazyignore` files with the rules of `.gitignore`, at any depth. Pure. */
import ignore from "ignore";

/** Holds a rule per line, for its folder and what is below it. */
export const IGNORE_FILE = ".lazyignore";
/** What transfers collect and keep is no part of anybody's folder. */
const OURS = /(^|\/)\.lazycluster-([0-9a-f]{12}|[0-9a-f]{16}|partial-[0-9a-f]{16})(\/|$)/;

export class IgnoreRules {
  private readonly rules = ignore({ ignorecase: false });
  private any = false;

  /** @param folder below the root; empty: the root itself. Folders come before those in them. */
  add(folder: string, text: string): void {
    for (const line of text.replace(/^\ufeff/, "").split(/\r?\n/)) {
      const rule = folder === "" ? line : ruleBelow(folder, line);
      if (rule === null) continue;
      this.rules.add({ pattern: rule });
      this.any = true;
    }
  }

  /** Whether it is left out, with all that is in it. Its folders must not be. */
  ignores(path: string, isFolder: boolean): boolean {
    if (OURS.test(path)) return true;
    return this.any && path !== "" && this.rules.ignores(isFolder ? `${path}/` : path);
  }
}

/** The rule of a file further down as one of the root; the last rule that fits decides. Null: a comment, or nothing. */
function ruleBelow(folder: string, line: string): string | null {
  if (line.trim() === "" || line.startsWith("#")) return null;
  const negated = line.startsWith("!");
  const body = (negated ? line.slice(1) : line).replace(/^\\([!#])/, "$1");
  // A slash in it, but at its end, binds it to its folder; else it fits at any depth.
  const bound = /\/(?=[^ ])/.test(body.replace(/\s+$/, "").replace(/\/$/, ""));
  const place = folder.replace(/[\\*?[\]!# ]/g, "\\$&");
  return `${negated ? "!" : ""}/${place}/${bound ? body.replace(/^\//, "") : `**/${body}`}`;
}
