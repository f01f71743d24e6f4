/** What was executed in this kernel, for clients that ask: consoles fill their arrow keys with it. */
import { type Content, flagOf, numberOf, textOf } from "./message";

interface Entry {
  readonly line: number;
  readonly input: string;
  output: string | null;
}

/** One kernel is one session; what former ones did is not kept. */
const SESSION = 1;
/** Older ones are forgotten. */
const MAX_ENTRIES = 10_000;

export class History {
  private entries: Entry[] = [];

  add(line: number, input: string): void {
    this.entries.push({ line, input, output: null });
    if (this.entries.length > MAX_ENTRIES) this.entries.shift();
  }

  /** The result of the latest entry. */
  setOutput(text: string): void {
    const last = this.entries.at(-1);
    if (last) last.output = text;
  }

  /** The content of a history_reply. */
  find(request: Content): Content {
    const withOutput = flagOf(request, "output", false);
    const history = this.select(request).map(({ line, input, output }) => [
      SESSION,
      line,
      withOutput ? [input, output] : input,
    ]);
    return { status: "ok", history };
  }

  private select(request: Content): Entry[] {
    switch (textOf(request, "hist_access_type")) {
      case "range": {
        const session = numberOf(request, "session") ?? 0;
        // 0 is the current session, -1 the one before it.
        if (session !== 0 && session !== SESSION) return [];
        const start = numberOf(request, "start") ?? 0;
        const stop = numberOf(request, "stop") ?? Infinity;
        return this.entries.filter(({ line }) => line >= start && line < stop);
      }
      case "search": {
        const pattern = globPattern(textOf(request, "pattern"));
        const found = this.entries.filter(({ input }) => pattern.test(input));
        return last(flagOf(request, "unique", false) ? latestOfEach(found) : found, numberOf(request, "n"));
      }
      default:
        return last(this.entries, numberOf(request, "n"));
    }
  }
}

function last(entries: readonly Entry[], count: number | null): Entry[] {
  return count === null ? [...entries] : entries.slice(Math.max(0, entries.length - count));
}

function latestOfEach(entries: readonly Entry[]): Entry[] {
  const latest = new Map(entries.map((entry) => [entry.input, entry]));
  return entries.filter((entry) => latest.get(entry.input) === entry);
}

/** `*` and `?` as in file names; everything else is text. */
function globPattern(glob: string): RegExp {
  const source = glob.replace(/[.*+?^${}()|[\]\\]/g, (character) =>
    character === "*" ? "[\\s\\S]*" : character === "?" ? "[\\s\\S]" : `\\${character}`,
  );
  return new RegExp(`^${source || "[\\s\\S]*"}$`);
}
