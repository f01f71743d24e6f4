/** Small changes of a text, after which places in the new text can still be told in the old one. */

export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export interface Edited {
  readonly text: string;
  /** The place in the original text; of what was put in, the place where. */
  toOriginal(offset: number): number;
  /** The place in the new text; of what was replaced, its beginning. */
  fromOriginal(offset: number): number;
}

/** Edits must not overlap; they may come in any order. */
export function applyEdits(original: string, edits: readonly Edit[]): Edited {
  const sorted = [...edits].sort((a, b) => a.start - b.start || a.end - b.end);
  let text = "";
  let at = 0;
  for (const edit of sorted) {
    text += original.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  text += original.slice(at);
  return {
    text,
    toOriginal: (offset) => {
      let shift = 0;
      for (const { start, end, text: put } of sorted) {
        const begins = start + shift;
        if (offset < begins) break;
        if (offset < begins + put.length) return start;
        shift += put.length - (end - start);
      }
      return offset - shift;
    },
    fromOriginal: (offset) => {
      let shift = 0;
      for (const { start, end, text: put } of sorted) {
        if (offset < start || (offset === start && end > start)) break;
        if (offset < end) return start + shift;
        shift += put.length - (end - start);
      }
      return offset + shift;
    },
  };
}

/** Line and column, from 0. */
export function positionOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  return { line: before.split("\n").length - 1, column: offset - (before.lastIndexOf("\n") + 1) };
}

export function offsetOf(text: string, line: number, column: number): number {
  let offset = 0;
  for (let left = line; left > 0; left--) {
    const next = text.indexOf("\n", offset);
    if (next < 0) return text.length;
    offset = next + 1;
  }
  return Math.min(offset + column, text.length);
}
