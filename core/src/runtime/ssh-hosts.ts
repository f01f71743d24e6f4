/** The hosts that an ssh config names: `Host` lines without patterns, `Include` followed. */
import { readFileSync, readdirSync } from "fs";
import { homedir } from "os";
import { isAbsolute, join } from "path";
import { EngineFailure, parseHost } from "../engine/protocol";

/** Includes inside includes; ssh has the same bound. */
const MAX_DEPTH = 16;

/** Without duplicates, in the order in which ssh reads them. A file that is not there names none. */
export function configuredHosts(configFile: string | null): string[] {
  return [...new Set(readFiles(configFile).hosts)];
}

/** The config itself and the files that it includes, each once. */
export function configFiles(configFile: string | null): string[] {
  return [...new Set(readFiles(configFile).files)];
}

interface Found {
  readonly files: string[];
  readonly hosts: string[];
}

function readFiles(configFile: string | null): Found {
  const found: Found = { files: [], hosts: [] };
  collect(configFile ?? join(homedir(), ".ssh", "config"), found, 0);
  return found;
}

function collect(path: string, found: Found, depth: number): void {
  if (depth > MAX_DEPTH) return;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return;
  }
  found.files.push(path);
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*(host|include)(?:\s+|\s*=\s*)(.*)$/i.exec(line);
    if (!match) continue;
    for (const word of words(match[2] ?? "")) {
      if (match[1]?.toLowerCase() === "include") {
        // Relative to ~/.ssh, as ssh does also for a config that -F named.
        for (const file of expand(word, join(homedir(), ".ssh"))) collect(file, found, depth + 1);
      } else if (isName(word)) {
        found.hosts.push(word);
      }
    }
  }
}

/** Words of a line, with double quotes, up to a comment. */
function words(text: string): string[] {
  return [...text.replace(/(^|\s)#.*$/, "").matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? "");
}

function isName(word: string): boolean {
  if (/[*?!]/.test(word)) return false;
  try {
    return parseHost(word).name === word;
  } catch (error) {
    if (error instanceof EngineFailure) return false;
    throw error;
  }
}

/** Paths that a pattern with `*`, `?` and `[…]` stands for; relative ones are below the config's folder. */
function expand(pattern: string, base: string): string[] {
  const home = pattern.replace(/^~(?=\/)/, homedir());
  const path = isAbsolute(home) ? home : join(base, home);
  let found = ["/"];
  for (const part of path.split("/").filter((name) => name !== "")) {
    found = found.flatMap((folder) => (/[*?[]/.test(part) ? matching(folder, part) : [join(folder, part)]));
  }
  return found;
}

function matching(folder: string, pattern: string): string[] {
  const expression = globExpression(pattern);
  try {
    return readdirSync(folder)
      .filter((name) => expression.test(name) && (!name.startsWith(".") || pattern.startsWith(".")))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** As glob(3) reads it; a bracket that is never closed stands for itself. */
function globExpression(pattern: string): RegExp {
  const source = pattern.replace(
    /\\(.)|\[([!^]?)(\]?[^\]]*)\]|\*|\?|[^\\[*?]|[\\[]/gs,
    (text: string, escaped?: string, not?: string, members?: string) => {
      if (escaped !== undefined) return literal(escaped);
      if (members) return `[${not ? "^" : ""}${members.replace(/[\\\][^]/g, "\\$&")}]`;
      return text === "*" ? ".*" : text === "?" ? "." : literal(text);
    },
  );
  try {
    return new RegExp(`^${source}$`, "s");
  } catch {
    // Such as a range that goes backwards: it matches nothing.
    return /^(?!)/;
  }
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
