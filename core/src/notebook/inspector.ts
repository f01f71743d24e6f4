/** Answers to "what could stand here" and "what is this", for TypeScript and for magics. */
import type { CellRunner } from "./cell-runner";
import { toCodePoints, toUtf16 } from "./cursor";
import type { TslabParts } from "./executor-parts";
import type { Magics } from "./magics";
import type { Content } from "./message";
import { MAGIC } from "./source/magics";

/** A magic line, up to the cursor: what comes before the command, and the command. */
const MAGIC_LINE = new RegExp(`^(.*?%{1,2}${MAGIC}[ \\t]+)(.*)$`);
const MAGIC_NAME = /(?:^|=)[ \t]*(%{1,2}[a-z]*)$/;
const BARE_MAGIC = new RegExp(`%{1,2}${MAGIC}\\s*$`);
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
    const found = (await this.completeMagic(code, at)) ?? this.completeCode(code, at);
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
    const line = lineAt(code, at);
    const command = BARE_MAGIC.test(line) ? "" : MAGIC_LINE.exec(line)?.[2];
    const text = command === undefined ? this.describe(code, at) : await this.magics.help(command);
    return text === ""
      ? { status: "ok", found: false, data: {}, metadata: {} }
      : { status: "ok", found: true, data: { "text/plain": text }, metadata: {} };
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
      const first = code.slice(0, lineStart(code, at)).trim() === "" && /^\s*%/.test(line);
      const names = [`%${MAGIC}`, ...(first ? [`%%${MAGIC}`] : [])];
      return { matches: names.filter((word) => word.startsWith(name)), start: at - name.length, end: at };
    }
    const magic = MAGIC_LINE.exec(line);
    if (!magic) return null;
    const { matches, start, end } = await this.magics.complete(magic[2] ?? "");
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

function lineStart(code: string, at: number): number {
  return code.lastIndexOf("\n", at - 1) + 1;
}

function lineAt(code: string, at: number): string {
  const end = code.indexOf("\n", at);
  return code.slice(lineStart(code, at), end < 0 ? undefined : end);
}
