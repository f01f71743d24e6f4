/** Results as text while they come, and as one table at the end. Pure. */
import type { Series } from "./measure";
import type { Aim, Row, RowResult } from "./row";

/** A row that has run. */
export interface Finished {
  readonly row: Row;
  readonly result: RowResult;
}

interface Verdict {
  readonly aim: Aim;
  /** Ours over the peer's, or ours as it is. */
  readonly found: number;
  readonly reached: boolean;
}

function judge({ row, result: { series } }: Finished): Verdict[] {
  return row.aims.map((aim) => {
    const which = aim.p90 ? "p90" : "median";
    const other = aim.peer === null ? 1 : (series.find(({ name }) => name === aim.peer)?.[which] ?? NaN);
    const found = (series[0]?.[which] ?? NaN) / other;
    return { aim, found, reached: found <= aim.most };
  });
}

/** What a row gave, with every series in a line. */
export function rowText(finished: Finished): string {
  const { row, result } = finished;
  const { series, also = [], unit } = result;
  const ours = series[0]?.median ?? NaN;
  const line = ({ name, median, p90, values }: Series, ratio: string): string =>
    `  ${name.padEnd(22)} ${median.toFixed(2).padStart(10)} ${unit}  p90 ${p90.toFixed(2)}  n=${String(values.length)}${ratio}`;
  return [
    "",
    `${row.name}: ${row.what}`,
    ...series.map((one, index) => line(one, index === 0 ? "" : `   ours / this = ${(ours / one.median).toFixed(4)}`)),
    ...also.map((one) => line(one, "")),
    ...judge(finished).map(({ aim, found, reached }) => {
      const most = aim.peer === null ? `${String(aim.most)} ${unit}` : `${aim.most.toFixed(4)} × ${aim.peer}`;
      return `  aim ≤ ${aim.p90 ? "p90 " : ""}${most}: ${reached ? "reached" : "missed"} (${found.toFixed(4)})`;
    }),
    "",
  ].join("\n");
}

/** All rows as a Markdown table: a line for each peer, and for each aim that has none. */
export function markdownTable(rows: readonly Finished[]): string {
  const head = ["row", "lazycluster", "beside", "ratio", "aim", ""];
  const lines = [head, head.map(() => "---"), ...rows.flatMap(linesOf)];
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`).join("");
}

function linesOf(finished: Finished): string[][] {
  const { row, result } = finished;
  const { series, also = [], unit } = result;
  const [ours, ...peers] = series;
  const verdicts = judge(finished);
  const value = (one: Series | undefined, p90 = false): string =>
    `${p90 ? "p90 " : ""}${short((p90 ? one?.p90 : one?.median) ?? NaN)} ${unit}`;
  const aimed = ({ aim, reached }: Verdict, suffix = ""): string[] => [
    `≤ ${short(aim.most)}${suffix}`,
    reached ? "reached" : "missed",
  ];
  const alone = verdicts
    .filter(({ aim }) => aim.peer === null)
    .map((verdict) => [row.name, value(ours, verdict.aim.p90), "", "", ...aimed(verdict, ` ${unit}`)]);
  const beside = peers.flatMap((peer) => {
    const its = verdicts.filter(({ aim }) => aim.peer === peer.name);
    const plain = its.some(({ aim }) => !aim.p90)
      ? []
      : [[row.name, value(ours), `${peer.name} ${value(peer)}`, ratio(ours, peer), "", ""]];
    const judged = its.map((verdict) => {
      const { p90 } = verdict.aim;
      return [row.name, value(ours, p90), `${peer.name} ${value(peer, p90)}`, short(verdict.found), ...aimed(verdict)];
    });
    return [...plain, ...judged];
  });
  const others = also.map((one) => [row.name, value(ours), `${one.name} ${value(one)}`, "", "", ""]);
  return [...alone, ...beside, ...others];
}

function ratio(ours: Series | undefined, peer: Series): string {
  return short((ours?.median ?? NaN) / peer.median);
}

/** Three digits that count: 1/300 and 12,345 alike. */
function short(value: number): string {
  if (!Number.isFinite(value)) return "?";
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
