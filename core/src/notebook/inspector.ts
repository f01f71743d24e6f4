/** Answers to "what could stand here" and "what is this", for TypeScript and for magics. */
import type { CellRunner } from "./cell-runner";
import { toCodePoints, toUtf16 } from "./cursor";
import type { TslabParts } from "./executor-parts";
import type { MagicKind, Magics } from "./magics";
import type { Content } from "./message";
import { MAGIC, isCellMagic } from "./source/magics";

/** A magic line, up to the cursor: what comes before the command, and the command. */
const MAGIC_LINE = new RegExp(`^(.*?(%{1,2})${MAGIC}[ \\t]+)(.*)$`);
const MAGIC_NAME = /(?:^|=)[ \t]*(%{1,2}[a-z]*)$/;
const BARE_MAGIC = new RegExp(`(%{1,2})${MAGIC}\\s*$`);
const NOTHING = { status: "ok", found: false, data: {}, metadata: {} };
const MAX_MATCHES = 1000;

export class Inspector {
  constructor(
    private readonly runner: CellRunner,
    private readonly magics: Magics,
    private readonly tslab: TslabParts,
  ) {}

  /** The content of a complete_reply. @param cursor in code points; default: the end. */
  async complete(code: string, cursor: number | null): Promise<Content> {
    const at = cursor === null ? code.length : toUtf16(code, cursor);
    const found = inBody(code, at)
      ? { matches: [], start: at, end: at }
      : ((await this.completeMagic(code, at)) ?? this.completeCode(code, at));
    return {
      status: "ok",
      matches: found.matches.slice(0, MAX_MATCHES),
      cursor_start: toCodePoints(code, found.start),
      cursor_end: toCodePoints(code, found.end),
      metadata: found.types
        ? {
            _jupyter_types_experimental: found.types.slice(0, MAX_MATCHES).map(({ text, type }) => ({
              text,
              type,
              start: toCodePoints(code, found.start),
              end: toCodePoints(code, found.end),
            })),
          }
        : {},
    };
  }

  /** The content of an inspect_reply. */
  async inspect(code: string, cursor: number | null): Promise<Content> {
    const at = cursor === null ? code.length : toUtf16(code, cursor);
    if (inBody(code, at)) return NOTHING;
    const line = lineAt(code, at);
    const [, sign] = BARE_MAGIC.exec(line) ?? [];
    const [, , named, command = ""] = sign === undefined ? (MAGIC_LINE.exec(line) ?? []) : [];
    const magic = sign ?? named;
    const text = magic === undefined ? this.describe(code, at) : await this.magics.help(command, kindOf(magic));
    return text === "" ? NOTHING : { status: "ok", found: true, data: { "text/plain": text }, metadata: {} };
  }

  private describe(code: string, at: number): string {
    const info = this.runner.inspect(code, at);
    return info === undefined || info === null ? "" : this.tslab.printQuickInfo(info);
  }

  private completeCode(code: string, at: number): Found {
    const { start, end, candidates, original } = this.runner.complete(code, at);
    const kinds = new Map(original?.entries?.map(({ name, kind }) => [name, kind]));
    return {
      start,
      end,
      matches: candidates,
      types: candidates.map((text) => ({ text, type: kinds.get(text) ?? "" })),
    };
  }

  private async completeMagic(code: string, at: number): Promise<Found | null> {
    const line = lineAt(code, at).slice(0, at - lineStart(code, at));
    const name = MAGIC_NAME.exec(line)?.[1];
    if (name !== undefined) {
      const first = /^\s*%/.test(line) && isCellMagic(`${code.slice(0, lineStart(code, at))}%%${MAGIC}`);
      const names = [`%${MAGIC}`, ...(first ? [`%%${MAGIC}`] : [])];
      return { matches: names.filter((word) => word.startsWith(name)), start: at - name.length, end: at };
    }
    const magic = MAGIC_LINE.exec(line);
    if (!magic) return null;
    const { matches, start, end } = await this.magics.complete(magic[3] ?? "", kindOf(magic[2] ?? ""));
    const before = lineStart(code, at) + (magic[1]?.length ?? 0);
    return { matches, start: before + start, end: before + end };
  }
}

interface Found {
  readonly matches: readonly string[];
  readonly start: number;
  readonly end: number;
  readonly types?: readonly { readonly text: string; readonly type: string }[];
}

function kindOf(sign: string): MagicKind {
  return sign === "%%" ? "cell" : "line";
}

/** In the lines of another language. */
function inBody(code: string, at: number): boolean {
  return isCellMagic(code) && /%%[^\n]*\n/.test(code.slice(0, at));
}

function lineStart(code: string, at: number): number {
  return code.lastIndexOf("\n", at - 1) + 1;
}

function lineAt(code: string, at: number): string {
  const end = code.indexOf("\n", at);
  return code.slice(lineStart(code, at), end < 0 ? undefined : end);
}
