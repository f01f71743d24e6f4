/** A task's log as a notebook shows it: the end of what was printed, live while more comes. */
import { inspect } from "util";
import { type Displayable, type MimeBundle, jupyterDisplay, logBundle, showLive } from "../display";
import { shortPath } from "./log-path";
import { followLog } from "./follow-log";
import type { OutputStream } from "./task-log";
import type { Run } from "./run";

/** [bytes] that are shown; who iterates gets all. */
const SHOWN = 64 * 1024;

export function openRunLog(
  run: Run,
  selection: { readonly step: number | null; readonly stream: OutputStream | null },
): AsyncGenerator<Buffer, void, undefined> & Displayable {
  const show = (): MimeBundle => {
    const { name, host, logFile } = run.record;
    const { text, omitted } = run.log.end(selection, SHOWN);
    const { step, stream } = selection;
    const part = [step === null ? "" : `, step ${String(step)}`, stream === null ? "" : `, ${stream}`].join("");
    return logBundle({ title: `Log of task ${name} on ${host}${part}`, text, omitted, logFile: shortPath(logFile) });
  };
  return Object.assign(followLog(run, selection), {
    [jupyterDisplay]: show,
    [inspect.custom]: (depth: number) =>
      showLive(
        depth,
        show,
        run.ended ? null : { changed: () => run.nextChange(), ended: () => run.ended, settled: run.settled },
      ),
  });
}
