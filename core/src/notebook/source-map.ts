/** From a place in the code that runs back to the place in the cell that the user wrote. */
import { SourceMap, type SourceMapPayload } from "module";
import { type Edited, offsetOf, positionOf } from "./source/edits";

export interface Place {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/** What was done to a cell on its way, in this order. */
export interface CellTrail {
  readonly source: string;
  readonly rewritten: Edited;
  /** Lines that the compiler put before it. */
  readonly addedLines: number;
  /** Source maps (JSON) of the compiler's passes, the first one first. */
  readonly maps: readonly string[];
  readonly output: string;
  readonly guarded: Edited;
  /** [characters] before the code in its first line. */
  readonly prefix: number;
}

/** The place in the cell; null where it has none, such as in code of the compiler. */
export function placeInCell(trail: CellTrail, line: number, column: number): Place | null {
  const onFirst = line === 1;
  const offset = offsetOf(trail.guarded.text, line - 1, column - 1 - (onFirst ? trail.prefix : 0));
  if (offset >= trail.guarded.text.length) return null;
  if (trail.maps.length === 0) return placeOfText(trail, line);
  let place: { line: number; column: number } | null = positionOf(trail.output, trail.guarded.toOriginal(offset));
  for (const map of [...trail.maps].reverse()) place = place && mapped(map, place);
  if (!place) return null;
  const inRewritten = offsetOf(trail.rewritten.text, place.line - trail.addedLines, place.column);
  const found = positionOf(trail.source, trail.rewritten.toOriginal(inRewritten));
  return { line: found.line + 1, column: found.column + 1 };
}

/** Without maps: where the cell has the same line, if it has it once. */
function placeOfText({ source, output }: CellTrail, line: number): Place | null {
  const bare = (text: string): string => text.replace(/\bexports\.|;$/g, "").trim();
  const wanted = bare(output.split("\n")[line - 1] ?? "");
  const lines = source.split("\n").flatMap((text, index) => (bare(text) === wanted ? [index + 1] : []));
  const [found] = lines;
  return found === undefined || lines.length > 1 ? null : { line: found, column: 1 };
}

function mapped(map: string, place: { line: number; column: number }): { line: number; column: number } | null {
  const entry = new SourceMap(JSON.parse(map) as SourceMapPayload).findEntry(place.line, place.column);
  return "originalLine" in entry ? { line: entry.originalLine, column: entry.originalColumn } : null;
}
