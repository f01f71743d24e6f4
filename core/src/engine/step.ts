/** How each kind of step runs. A new kind is one more row of the table. */
import { type Progress, type TransferResult, receiveTree, sendTree, startProcess } from "../host";
import { runCall, untilEnd } from "./call";
import { type StepOutcome, judge } from "./judge";
import type { ObjectStore } from "./objects";
import type { StepKind, StepSpec, ValueData } from "./protocol";
import type { Workplace } from "./owner";

export interface StepContext {
  readonly workplace: Workplace;
  /** Of every process of the execution; the agent finds them by it. */
  readonly tag: string;
  /** The owner's id. */
  readonly scope: string;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly objects: ObjectStore;
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
    const { workplace, tag, env, signal } = context;
    const { agent, cwd } = workplace;
    const stdin = step.stdin === null ? null : ({ kind: "memory", bytes: step.stdin } as const);
    const fields = { cmd: step.command, stdin: stdin !== null, pty: step.pty, timeout: step.timeoutMs, cwd, env, tag };
    return judge(
      await untilEnd(startProcess(agent, "run", fields, stdin, context), signal),
      step.timeoutMs,
      step.check,
    );
  },
  runFunction: async (step, context) => {
    const end = await runCall(step, { ...context, ...context.workplace });
    const outcome = judge(end, step.timeoutMs, true);
    // A cell that failed may have shown something before.
    if (end.value) context.value(end.value);
    else if (!outcome.failure) return { ...outcome, failure: { reason: "failed", what: "gave no value", cause: null } };
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

/** Runs a step to its end. Rejects EngineFailure when it could not start, or the host was lost. */
export function runStep(step: StepSpec, context: StepContext): Promise<StepOutcome> {
  // The table has the runner of exactly this kind, which the compiler cannot see.
  const run = RUNNERS[step.kind] as (step: StepSpec, context: StepContext) => Promise<StepOutcome>;
  return run(step, context);
}

/** What was left out is told in the step's log. */
function transferred(result: TransferResult, output: StepContext["output"]): StepOutcome {
  for (const note of result.notes) output("stderr", Buffer.from(`${note}\n`), () => undefined);
  return { exitCode: null, signal: null, failure: null };
}
