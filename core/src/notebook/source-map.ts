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
  /** Where another compiler made the output and no maps of it: the cell as ours makes JavaScript of it. */
  readonly alike?: () => Alike;
}

export interface Alike {
  readonly text: string;
  /** JSON. */
  readonly map: string;
}

/** The place in the cell; null where it has none, such as in code of the compiler. */
export function placeInCell(trail: CellTrail, line: number, column: number): Place | null {
  const onFirst = line === 1;
  const offset = offsetOf(trail.guarded.text, line - 1, column - 1 - (onFirst ? trail.prefix : 0));
  if (offset >= trail.guarded.text.length) return null;
  if (trail.alike) return placeInAlike(trail.output, trail.alike(), line);
  let place: { line: number; column: number } | null = positionOf(trail.output, trail.guarded.toOriginal(offset));
  for (const map of [...trail.maps].reverse()) place = place && mapped(map, place);
  if (!place) return null;
  const inRewritten = offsetOf(trail.rewritten.text, place.line - trail.addedLines, place.column);
  const found = positionOf(trail.source, trail.rewritten.toOriginal(inRewritten));
  return { line: found.line + 1, column: found.column + 1 };
}

/** By the line that reads the same; of several such, the one with the same number among them. */
function placeInAlike(output: string, { text, map }: Alike, line: number): Place | null {
  const compiled = output.split("\n").map(bare);
  const ours = text.split("\n");
  const wanted = compiled[line - 1] ?? "";
  if (wanted === "") return null;
  const before = compiled.slice(0, line - 1).filter((other) => other === wanted).length;
  const same = ours.flatMap((other, index) => (bare(other) === wanted ? [index] : []));
  const found = same[before];
  if (found === undefined || same.length !== compiled.filter((other) => other === wanted).length) return null;
  const place = mapped(map, { line: found, column: (ours[found] ?? "").search(/\S/) });
  return place && { line: place.line + 1, column: place.column + 1 };
}

/** Without what tells a cell's variables from those of a module. */
function bare(line: string): string {
  return line
    .replace(/\bexports\./g, "")
    .trim()
    .replace(/^(?:const|let|var) |^(?:const )?tsLastExpr\d* = |;$/g, "");
}

function mapped(map: string, place: { line: number; column: number }): { line: number; column: number } | null {
  const entry = new SourceMap(JSON.parse(map) as SourceMapPayload).findEntry(place.line, place.column);
  return "originalLine" in entry ? { line: entry.originalLine, column: entry.originalColumn } : null;
}
