/** Paths as `ssh -G` prints them: some with `~` and `%` tokens left in, several on one line without quotes. */

import { existsSync } from "node:fs";
import { homedir, hostname as localHostname, userInfo } from "node:os";
import { join, resolve } from "node:path";

export interface PathTokens {
  /** The host as it was given to ssh. */
  readonly original: string;
  readonly hostname: string;
  readonly port: number;
  readonly user: string;
  readonly hostKeyAlias: string;
}

/** `~`, `${VARIABLE}` and the tokens of ssh_config(5); an unknown token stays as it is. Always absolute. */
export function expandPath(path: string, tokens: PathTokens): string {
  const expanded = expandHome(path)
    .replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, name: string) => process.env[name] ?? whole)
    .replace(/%(.)/gu, (whole, token: string) => expandToken(token, tokens) ?? whole);
  return resolve(expanded);
}

/** Of a path that the user gave as an option: only `~` means something else there. */
export function expandHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}

function expandToken(token: string, tokens: PathTokens): string | null {
  switch (token) {
    case "%":
      return "%";
    case "d":
      return homedir();
    case "h":
      return tokens.hostname;
    case "i":
      return String(userInfo().uid);
    case "k":
      return tokens.hostKeyAlias;
    case "l":
      return localHostname();
    case "L":
      return localHostname().split(".")[0] ?? "";
    case "n":
      return tokens.original;
    case "p":
      return String(tokens.port);
    case "r":
      return tokens.user;
    case "u":
      return userInfo().username;
    default:
      return null;
  }
}

/**
 * `ssh -G` prints a list of paths with spaces between and no quotes, so a space in a path is ambiguous: the longest
 * run of words that is an existing file is one path, any other word is a path by itself.
 */
export function splitPaths(line: string): readonly string[] {
  const words = line.split(" ").filter(Boolean);
  const paths: string[] = [];
  for (let start = 0; start < words.length;) {
    let end = words.length;
    while (end > start + 1 && !existsSync(words.slice(start, end).join(" "))) end--;
    paths.push(words.slice(start, end).join(" "));
    start = end;
  }
  return paths;
}
