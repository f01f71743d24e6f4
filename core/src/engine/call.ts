/** A call of a Python function on a host, with the objects that it takes. */
import { type AgentClient, type ProcessEnd, type ProcessSinks, jsWorker, startProcess } from "../host";
import type { ObjectStore } from "./objects";
import type { CallSpec } from "./protocol";

export interface CallContext extends ProcessSinks {
  readonly agent: AgentClient;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Of the processes of this call; the agent finds them by it. */
  readonly tag: string;
  /** Whose sessions it may use: the owner's id. */
  readonly scope: string;
  readonly signal: AbortSignal;
  readonly objects: ObjectStore;
}

/** Rejects EngineFailure when it could not start, or the host was lost. */
export async function runCall(call: CallSpec, context: CallContext): Promise<ProcessEnd> {
  const { agent, objects, signal, scope } = context;
  const { session } = call;
  const held = await objects.hold(call, agent, signal);
  try {
    const changed = (): void => {
      if (session !== null && call.fn.kind !== "forget") objects.sessionRan(agent, scope, session);
    };
    changed();
    const process = startProcess(
      agent,
      "call",
      {
        fn: { ...call.fn, ...(call.fn.kind === "js" ? { worker: workerFor(agent) } : {}) },
        timeout: call.timeoutMs,
        python: call.python,
        cwd: context.cwd,
        env: context.env,
        tag: context.tag,
        ...(session === null ? {} : { session, scope }),
        ...(call.result === "auto" ? {} : { result: call.result }),
        ...(held.paths.length === 0 ? {} : { handles: held.paths }),
        ...(call.modules.length === 0 ? {} : { modules: call.modules }),
      },
      call.arguments,
      context,
    );
    try {
      return await untilEnd(process, signal);
    } catch (error) {
      // It may not have arrived.
      haveWorker.delete(agent);
      throw error;
    } finally {
      changed();
    }
  } finally {
    held.release();
  }
}

/** Agents that were sent the program for JavaScript functions. */
const haveWorker = new WeakSet<AgentClient>();

/** The program, with the first call of a connection only. */
function workerFor(agent: AgentClient): Uint8Array | null {
  if (haveWorker.has(agent)) return null;
  haveWorker.add(agent);
  return jsWorker();
}

/** A signal that is aborted cancels it; how it ends then is the host's to say. */
export async function untilEnd(process: ReturnType<typeof startProcess>, signal: AbortSignal): Promise<ProcessEnd> {
  const cancel = (): void => process.cancel();
  signal.addEventListener("abort", cancel);
  if (signal.aborted) cancel();
  try {
    return await process.ended;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}
