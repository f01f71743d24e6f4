/**
 * Which files of a folder are left out: `.lazyignore` files with the rules of `.gitignore`, at any depth. Paths are keys:
 * a character for each byte. Pure.
 */
import { parentOf } from "./entry";
import { type Glob, compile, fits } from "./glob";

/** Holds a rule per line, for its folder and what is below it. */
export const IGNORE_FILE = ".lazyignore";
/** What transfers collect and keep is no part of anybody's folder. */
const OURS = /(^|\/)\.lazycluster-([0-9a-f]{12}|[0-9a-f]{16}|partial-[0-9a-f]{16})(\/|$)/;

interface Rule {
  /** What fits it is not left out after all. */
  readonly negated: boolean;
  readonly onlyFolders: boolean;
  /** Compared with the whole path below its folder, else with the name alone. */
  readonly bound: boolean;
  /** What it begins with. Git compares it apart, so `**` right behind it is at a beginning. */
  readonly literal: string;
  readonly rest: Glob;
}

export class IgnoreRules {
  /** By the folder that they are for. */
  private readonly rules = new Map<string, readonly Rule[]>();
  /** Of folders; which are asked for again with all that is in them. */
  private known = new Map<string, boolean>();

  /** @param folder key below the root; empty: the root itself. */
  add(folder: string, text: Buffer): void {
    const rules = text
      .toString("latin1")
      .replace(/^\xef\xbb\xbf/, "")
      .split("\n")
      .flatMap((line) => readRule(line) ?? []);
    this.rules.set(folder, rules);
    this.known = new Map();
  }

  /** Whether it is left out, with all that is in it. Throws Error where that takes too long to find out. */
  ignores(key: string, isFolder: boolean): boolean {
    if (OURS.test(key)) return true;
    if (this.rules.size === 0 || key === "") return false;
    if (!isFolder) return this.isLeftOut(key, false);
    let known = this.known.get(key);
    if (known === undefined) this.known.set(key, (known = this.isLeftOut(key, true)));
    return known;
  }

  private isLeftOut(key: string, isFolder: boolean): boolean {
    const parent = parentOf(key) ?? "";
    // What lies in such a folder cannot be taken back.
    if (this.ignores(parent, true)) return true;
    // The last rule that fits counts, and those further down before those further up.
    for (let folder: string | null = parent; folder !== null; folder = parentOf(folder)) {
      const rules = this.rules.get(folder) ?? [];
      for (let index = rules.length - 1; index >= 0; index--) {
        const rule = rules[index];
        if (rule && doesFit(rule, key, folder, isFolder)) return !rule.negated;
      }
    }
    return false;
  }
}

function doesFit(rule: Rule, key: string, folder: string, isFolder: boolean): boolean {
  if (rule.onlyFolders && !isFolder) return false;
  const start = rule.bound ? (folder === "" ? 0 : folder.length + 1) : key.lastIndexOf("/") + 1;
  return key.startsWith(rule.literal, start) && fits(rule.rest, key, start + rule.literal.length);
}

/** Null: a comment, or nothing, or what fits nothing. */
function readRule(text: string): Rule | null {
  // To git a line ends at a NUL.
  const line = withoutSpaces(text.replace(/\r$/, "").replace(/\0.*$/s, ""));
  if (line.startsWith("#")) return null;
  const negated = line.startsWith("!");
  const pattern = line.slice(negated ? 1 : 0);
  const onlyFolders = pattern.endsWith("/");
  const body = onlyFolders ? pattern.slice(0, -1) : pattern;
  const bound = body.includes("/");
  const path = body.replace(/^\//, "");
  if (path === "") return null;
  const wild = path.search(/[*?[\\]/);
  const literal = wild < 0 ? path : path.slice(0, wild);
  const rest = compile(path.slice(literal.length));
  return rest && { negated, onlyFolders, bound, literal, rest };
}

/** Without those at its end, but for one behind a backslash. */
function withoutSpaces(line: string): string {
  let end = 0;
  for (let at = 0; at < line.length; at++) {
    if (line[at] === "\\") end = (at += 1) + 1;
    else if (line[at] !== " ") end = at + 1;
  }
  return line.slice(0, end);
}
