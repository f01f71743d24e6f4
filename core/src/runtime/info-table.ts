/** What several hosts have, asked in parallel. */
import { oneLine, tableText } from "../display";
import { LazyclusterError } from "../errors";
import { INFO_HEAD, type RuntimeInfo, infoRow } from "./info";

interface Askable {
  readonly info: Promise<RuntimeInfo>;
}

/** Never rejects for a host's sake. */
export async function askInfo(runtime: Askable): Promise<RuntimeInfo | LazyclusterError> {
  try {
    return await runtime.info;
  } catch (error) {
    if (error instanceof LazyclusterError) return error;
    throw error;
  }
}

/** Prints a table; of hosts that cannot be asked, why. */
export async function printInfos(runtimes: readonly Askable[]): Promise<void> {
  const rows: string[][] = [];
  const failures: string[] = [];
  for (const answer of await Promise.all(runtimes.map(askInfo))) {
    if (answer instanceof LazyclusterError) failures.push(`  ${oneLine(answer.message, 300)}`);
    else rows.push(infoRow(answer));
  }
  const title = rows.length === 1 ? "1 runtime" : `${String(rows.length)} runtimes`;
  console.log([tableText({ title, head: INFO_HEAD, rows }), ...failures].join("\n"));
}
