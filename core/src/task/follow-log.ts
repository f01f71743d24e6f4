import { IndexReader, readRuns } from "../engine/journal";
import type { OutputStream } from "./task-log";
import type { Run } from "./run";

/** The output of a run as raw bytes, live, until it has ended. */
export async function* followLog(
  run: Run,
  selection: { readonly step: number | null; readonly stream: OutputStream | null },
): AsyncGenerator<Buffer, void, undefined> {
  const index = new IndexReader(run.record.logFile);
  for (;;) {
    const { changes, ended } = run;
    yield* readRuns(run.record.logFile, index.read(), selection);
    if (ended || index.ended) return;
    // More may have come while the reader was busy with the last piece.
    await run.nextChange(changes);
  }
}
