/**
 * An ssh config as text: adds and removes `Host` entries, and leaves every other byte as it is. Pure.
 *
 * By lines, not by a parser that writes back what it understood: what it did not, a blank before a comment or an
 * option of a newer ssh, would be lost. Each character of the text is a byte; what is added becomes UTF-8.
 */

export interface HostEntry {
  readonly name: string;
  readonly hostname: string;
  /** Null: ssh's own defaults. */
  readonly user: string | null;
  readonly port: number | null;
  readonly identityFile: string | null;
  /** Further options by name. */
  readonly options: readonly (readonly [name: string, value: string])[];
}

/** Why an entry cannot be removed by a program. */
export class NotRemovable extends Error {}

interface Line {
  /** With its end of line. */
  readonly text: string;
  /** In lower case; empty: a blank line or a comment. */
  readonly keyword: string;
  readonly words: readonly string[];
}

/** What stands in front of the words of a line; the end of line is no part of it. */
const LINE = /^(\s*)([A-Za-z][A-Za-z0-9]*)(\s*=\s*|\s+|$)(.*)$/;
const WORD = /"([^"]*)"|([^\s"]+)/g;

/**
 * The text with a new entry in front of the first one that has a pattern (`Host *`), because the first value that ssh
 * reads wins; else at the end.
 */
export function addHost(text: string, entry: HostEntry): string {
  const lines = split(text);
  const general = lines.findIndex(isGeneral);
  const end = text.includes("\r\n") ? "\r\n" : "\n";
  const section = [
    `Host ${entry.name}`,
    `HostName ${quoted(entry.hostname)}`,
    ...(entry.user === null ? [] : [`User ${quoted(entry.user)}`]),
    ...(entry.port === null ? [] : [`Port ${String(entry.port)}`]),
    ...(entry.identityFile === null ? [] : [`IdentityFile ${quoted(entry.identityFile)}`, "IdentitiesOnly yes"]),
    ...entry.options.map(([name, value]) => `${name} ${value}`),
  ]
    .map((line, index) => (index === 0 ? line : `    ${line}`) + end)
    .map((line) => Buffer.from(line, "utf8").toString("latin1"))
    .join("");
  if (general < 0) {
    const whole = text === "" || text.endsWith("\n") ? text : text + end;
    return whole + (whole === "" || /\n\r?\n$/.test(whole) ? "" : end) + section;
  }
  // Comments right above it belong to it.
  let at = general;
  while (at > 0 && /^\s*#/.test(lines[at - 1]?.text ?? "")) at -= 1;
  return join(lines.slice(0, at)) + section + end + join(lines.slice(at));
}

/** The entries of this name, by the number of their lines from 1. */
export function linesOfHost(text: string, name: string): number[] {
  return split(text).flatMap((line, index) =>
    line.keyword === "host" && line.words.includes(name) ? [index + 1] : [],
  );
}

/**
 * The text without the host: its name leaves a line of several names; an entry of its own goes with its options, and
 * comments stay. Throws NotRemovable when that would change what other lines mean.
 */
export function removeHost(text: string, name: string): string {
  const lines = split(text);
  const kept: string[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at];
    if (!line) break;
    if (line.keyword !== "host" || !line.words.includes(name)) {
      kept.push(line.text);
      continue;
    }
    if (line.words.some((word) => word !== name)) {
      kept.push(withoutWord(line.text, name));
      continue;
    }
    const next = lines.findIndex((later, index) => index > at && startsSection(later));
    const body = lines.slice(at + 1, next < 0 ? lines.length : next);
    if (body.some(({ keyword }) => keyword === "include")) {
      throw new NotRemovable(`the entry in line ${String(at + 1)} includes another file`);
    }
    kept.push(...keptOf(body, next < 0));
    at += body.length;
  }
  return kept.join("");
}

/** Comments of an entry stay, and the blank lines between them and what follows. */
function keptOf(body: readonly Line[], last: boolean): string[] {
  let lastOption = body.length - 1;
  while (lastOption >= 0 && body[lastOption]?.keyword === "") lastOption -= 1;
  const within = body.slice(0, lastOption + 1).filter(({ text }) => text.trim().startsWith("#"));
  const behind = body.slice(lastOption + 1);
  const comments = behind.findIndex(({ text }) => text.trim() !== "");
  // The blank lines that divided the entry from the next one go with it.
  return [...within, ...(comments < 0 ? [] : behind.slice(last ? 0 : comments))].map(({ text }) => text);
}

function withoutWord(text: string, name: string): string {
  const match = LINE.exec(text.replace(/\r?\n$/, ""));
  if (!match) return text;
  const [, indent = "", keyword = "", separator = "", rest = ""] = match;
  let inComment = false;
  const left = rest.replace(/("[^"]*"|[^\s"]+)(\s*)/g, (whole, word: string) => {
    inComment ||= word.startsWith("#");
    return !inComment && word.replace(/^"(.*)"$/, "$1") === name ? "" : whole;
  });
  return indent + keyword + separator + left.trimEnd() + (/\r?\n$/.exec(text)?.[0] ?? "");
}

function split(text: string): Line[] {
  return (text.match(/[^\n]*\n|[^\n]+$/g) ?? []).map((line) => {
    const match = LINE.exec(line.replace(/\r?\n$/, "").replace(/^\xEF\xBB\xBF/, ""));
    if (!match) return { text: line, keyword: "", words: [] };
    return { text: line, keyword: match[2]?.toLowerCase() ?? "", words: wordsOf(match[4] ?? "") };
  });
}

/** Up to a comment. */
function wordsOf(rest: string): string[] {
  const words: string[] = [];
  for (const match of rest.matchAll(WORD)) {
    if (match[2]?.startsWith("#")) break;
    words.push(match[1] ?? match[2] ?? "");
  }
  return words;
}

function startsSection(line: Line): boolean {
  return line.keyword === "host" || line.keyword === "match";
}

function isGeneral(line: Line): boolean {
  return line.keyword === "match" || (line.keyword === "host" && line.words.some((word) => /[*?!]/.test(word)));
}

function quoted(value: string): string {
  return /[\s#]/.test(value) ? `"${value}"` : value;
}

function join(lines: readonly Line[]): string {
  return lines.map(({ text }) => text).join("");
}
