/** How each kind of step runs. A new kind is one more row of the table. */
import {
  type ProcessHost,
  type Progress,
  type SyncResult,
  type TransferRequest,
  receiveTree,
  sendTree,
  startProcess,
  syncTree,
  untilEnd,
} from "../host";
import { runCall } from "./call";
import { type StepOutcome, judge } from "./judge";
import type { ObjectStore } from "./objects";
import { commandRequest } from "./process-request";
import type { StepKind, StepSpec, ValueData } from "./protocol";
import type { Workplace } from "./owner";
import { partialsKey } from "./partials-key";
import type { SessionPlaces } from "./session-places";

export interface StepContext {
  readonly workplace: Workplace;
  /** Runs the step where it is a process: the agent, or what was recorded there. */
  readonly processes: ProcessHost;
  /** Of every process of the execution; the agent finds them by it. */
  readonly tag: string;
  /** The owner's id. */
  readonly scope: string;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly objects: ObjectStore;
  readonly sessions: SessionPlaces;
  readonly started: (pid: number) => void;
  readonly output: (stream: "stdout" | "stderr", bytes: Buffer, release: () => void) => void;
  readonly value: (value: ValueData) => void;
  readonly progress: (progress: Progress) => void;
  /** A path for a private file. */
  readonly newFile: () => string;
}

type Runner<K extends StepKind> = (step: Extract<StepSpec, { kind: K }>, context: StepContext) => Promise<StepOutcome>;

const RUNNERS: { readonly [K in StepKind]: Runner<K> } = {
  runCommand: async (step, context) => {
    const { op, fields, input } = commandRequest(step, { ...context, cwd: context.workplace.cwd });
    const process = startProcess(context.processes, op, fields, input, context);
    return judge(await untilEnd(process, context.signal), step.timeoutMs, step.check);
  },
  runFunction: async (step, context) => {
    const end = await runCall(step, { ...context, ...context.workplace });
    const outcome = judge(end, step.timeoutMs, true);
    // A cell that failed may have shown something before.
    if (end.value) context.value(end.value);
    else if (!outcome.failure) return { ...outcome, failure: { reason: "failed", what: "gave no value", cause: null } };
    return outcome;
  },
  sendFile: async (step, context) => {
    const { localPath, remotePath } = step;
    const request = { localPath, remotePath, ...transfer(step, context) };
    return transferred(await sendTree(context.workplace.agent, request), context.output);
  },
  getFile: async (step, context) => {
    const { localPath, remotePath } = step;
    const request = { localPath, remotePath, ...transfer(step, context) };
    return transferred(await receiveTree(context.workplace.agent, request), context.output);
  },
  syncFolder: async (step, context) => {
    const result = await syncTree(context.workplace.agent, { ...step, ...transfer(step, context) });
    context.output("stdout", Buffer.from(describeSync(result, step.dryRun)), () => undefined);
    return transferred(result, context.output);
  },
};

/** Runs a step to its end. Rejects EngineFailure when it could not start, or the host was lost. */
export function runStep(step: StepSpec, context: StepContext): Promise<StepOutcome> {
  // The table has the runner of exactly this kind, which the compiler cannot see.
  const run = RUNNERS[step.kind] as (step: StepSpec, context: StepContext) => Promise<StepOutcome>;
  return run(step, context);
}

function transfer(
  { verify, resume }: { readonly verify: boolean; readonly resume: boolean },
  { workplace, progress, signal }: StepContext,
): TransferRequest & { readonly resume: Buffer | null } {
  const { cwd, openLane } = workplace;
  return { cwd, progress, signal, verify, resume: resume ? partialsKey() : null, openLane };
}

/** What was left out is told in the step's log. */
function transferred(result: { readonly notes: readonly string[] }, output: StepContext["output"]): StepOutcome {
  for (const note of result.notes) output("stderr", Buffer.from(`${note}\n`), () => undefined);
  return { exitCode: null, signal: null, failure: null };
}

/** The log of a sync: a summary, and what a dry run would do. */
function describeSync({ created, changed, deleted, unchanged, bytes }: SyncResult, dryRun: boolean): string {
  const counts = [
    `${String(created.length)} new`,
    `${String(changed.length)} changed`,
    `${String(deleted.length)} deleted`,
    `${String(unchanged)} unchanged`,
  ];
  const summary = `${dryRun ? "dry run: " : ""}${counts.join(", ")}, ${String(bytes)} bytes\n`;
  if (!dryRun) return summary;
  const line = (what: string, path: string): string => `${what} ${JSON.stringify(path)}\n`;
  return [
    ...created.map((path) => line("new", path)),
    ...changed.map((path) => line("changed", path)),
    ...deleted.map((path) => line("deleted", path)),
    summary,
  ].join("");
}
