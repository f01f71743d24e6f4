/** How each kind of step runs. A new kind is one more row of the table. */
import {
  type ProcessEnd,
  type Progress,
  type SyncResult,
  type TransferRequest,
  receiveTree,
  sendTree,
  startProcess,
  syncTree,
} from "../host";
import type { FailureData, StepKind, StepSpec, TaskFailureReason } from "./protocol";
import type { Workplace } from "./owner";

export interface StepContext {
  readonly workplace: Workplace;
  /** Of every process of the execution; the agent finds them by it. */
  readonly tag: string;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly started: (pid: number) => void;
  readonly output: (stream: "stdout" | "stderr", bytes: Buffer, release: () => void) => void;
  readonly value: (document: Uint8Array) => void;
  readonly progress: (progress: Progress) => void;
}

/** How a step ended. */
export interface StepOutcome {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Null: it did what it should. */
  readonly failure: {
    readonly reason: TaskFailureReason;
    readonly what: string;
    readonly cause: FailureData | null;
  } | null;
}

type Runner<K extends StepKind> = (step: Extract<StepSpec, { kind: K }>, context: StepContext) => Promise<StepOutcome>;

const RUNNERS: { readonly [K in StepKind]: Runner<K> } = {
  runCommand: async (step, context) => {
    const end = await runProcess(
      context,
      "run",
      { cmd: step.command, stdin: step.stdin !== null, pty: step.pty, timeout: step.timeoutMs },
      step.stdin,
    );
    return judge(end, step.timeoutMs, step.check);
  },
  runFunction: async (step, context) => {
    const end = await runProcess(
      context,
      "call",
      { fn: { ...step.fn }, timeout: step.timeoutMs, python: step.python },
      step.document,
    );
    const outcome = judge(end, step.timeoutMs, true);
    if (outcome.failure) return outcome;
    if (!end.value) return { ...outcome, failure: { reason: "failed", what: "gave no value", cause: null } };
    context.value(end.value);
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

async function runProcess(
  context: StepContext,
  op: "run" | "call",
  fields: Parameters<typeof startProcess>[2],
  input: Uint8Array | null,
): Promise<ProcessEnd> {
  const { workplace, tag, env, signal } = context;
  const process = startProcess(workplace.agent, op, { ...fields, cwd: workplace.cwd, env, tag }, input, context);
  const cancel = (): void => process.cancel();
  signal.addEventListener("abort", cancel);
  if (signal.aborted) cancel();
  try {
    return await process.ended;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

function judge(end: ProcessEnd, timeoutMs: number | null, check: boolean): StepOutcome {
  const outcome = { exitCode: end.code, signal: end.signal };
  const failed = (reason: TaskFailureReason, what: string, cause: FailureData | null = null): StepOutcome => ({
    ...outcome,
    failure: { reason, what, cause },
  });
  if (end.why === "cancelled") return failed("cancelled", "was cancelled");
  if (end.why === "timeout") return failed("timeout", `did not end within ${String(timeoutMs)} ms`);
  if (end.raised) {
    const { type, message, traceback } = end.raised;
    const shown = message === "" ? type : `${type}: ${message}`;
    return failed("failed", `raised ${shown}`, { code: "ERR_PYTHON", message: shown, remoteTraceback: traceback });
  }
  if (end.signal !== null && check) return failed("failed", `was ended by ${end.signal}`);
  if (end.code !== 0 && check) return failed("failed", `ended with exit code ${String(end.code)}`);
  return { ...outcome, failure: null };
}

function transfer(
  { verify, resume }: { readonly verify: boolean; readonly resume: boolean },
  { workplace, progress, signal }: StepContext,
): TransferRequest {
  const { cwd, openLane } = workplace;
  return { cwd, progress, signal, verify, resume, openLane };
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
