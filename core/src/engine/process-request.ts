/** What the agent is asked for a step that is a process. */
import type { AgentClient, startProcess } from "../host";
import { functionField } from "./js-worker";
import type { ArgumentData, CallSpec, StepSpec } from "./protocol";

/** Where and as what it runs. */
export interface ProcessPlace {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** The agent finds its processes by it. */
  readonly tag: string;
  /** Whose sessions it may use: the owner's id. */
  readonly scope: string;
}

export interface ProcessRequest {
  readonly op: "run" | "call";
  readonly fields: Parameters<typeof startProcess>[2];
  /** Null: it reads nothing. */
  readonly input: ArgumentData | null;
}

export function commandRequest(
  step: Extract<StepSpec, { kind: "runCommand" }>,
  { cwd, env, tag }: ProcessPlace,
): ProcessRequest {
  const input = step.stdin === null ? null : ({ kind: "memory", bytes: step.stdin } as const);
  return {
    op: "run",
    fields: { cmd: step.command, stdin: input !== null, pty: step.pty, timeout: step.timeoutMs, cwd, env, tag },
    input,
  };
}

/** @param handles where the host has the objects that it takes. */
export function callRequest(
  call: CallSpec,
  { cwd, env, tag, scope }: ProcessPlace,
  agent: AgentClient,
  handles: readonly Uint8Array[],
): ProcessRequest {
  const { session } = call;
  return {
    op: "call",
    fields: {
      fn: functionField(call, agent),
      timeout: call.timeoutMs,
      python: call.python,
      cwd,
      env,
      tag,
      ...(session === null ? {} : { session: session.name, process: session.process, scope }),
      ...(call.result === "auto" ? {} : { result: call.result }),
      ...(handles.length === 0 ? {} : { handles: [...handles] }),
      ...(call.modules.length === 0 ? {} : { modules: [...call.modules] }),
    },
    input: call.arguments,
  };
}
