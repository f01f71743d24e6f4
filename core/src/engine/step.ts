/** How each kind of step runs. A new kind is one more row of the table. */
import {
  type AgentClient,
  type ProcessEnd,
  type Progress,
  type TransferResult,
  jsWorker,
  receiveTree,
  sendTree,
  startProcess,
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
    const fn = { ...step.fn, ...(step.fn.kind === "js" ? { worker: workerFor(context.workplace.agent) } : {}) };
    const fields = { fn, timeout: step.timeoutMs, python: step.python };
    const end = await runProcess(context, "call", fields, step.document).catch((error: unknown) => {
      // It may not have arrived.
      haveWorker.delete(context.workplace.agent);
      throw error;
    });
    const outcome = judge(end, step.timeoutMs, true);
    if (outcome.failure) return outcome;
    if (!end.value) return { ...outcome, failure: { reason: "failed", what: "gave no value", cause: null } };
    context.value(end.value);
    return outcome;
  },
  sendFile: async (step, { workplace, signal, progress, output }) => {
    const { agent, cwd } = workplace;
    const request = { localPath: step.localPath, remotePath: step.remotePath, cwd, progress, signal };
    return transferred(await sendTree(agent, request), output);
  },
  getFile: async (step, { workplace, signal, progress, output }) => {
    const { agent, cwd } = workplace;
    const request = { remotePath: step.remotePath, cwd, localPath: step.localPath, progress, signal };
    return transferred(await receiveTree(agent, request), output);
  },
};

/** Agents that were sent the program for JavaScript functions. */
const haveWorker = new WeakSet<AgentClient>();

/** The program, with the first call of a connection only. */
function workerFor(agent: AgentClient): Uint8Array | null {
  if (haveWorker.has(agent)) return null;
  haveWorker.add(agent);
  return jsWorker();
}

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

/** What was left out is told in the step's log. */
function transferred(result: TransferResult, output: StepContext["output"]): StepOutcome {
  for (const note of result.notes) output("stderr", Buffer.from(`${note}\n`), () => undefined);
  return { exitCode: null, signal: null, failure: null };
}
