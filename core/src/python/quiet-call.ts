/** Calls that are no tasks: what handles and the bridge ask of a Python. */
import { randomUUID } from "crypto";
import { notebookHost } from "../display";
import { engineClient } from "../engine/client";
import {
  EngineFailure,
  type FunctionSpec,
  type OwnerSpec,
  type ResultForm,
  type SessionProcess,
} from "../engine/protocol";
import { errorFromFailure } from "../errors";
import { type ComposedCall, composeSpec } from "./compose";
import { ReceivedValue } from "./received";
import type { Origin } from "./revive";
import { SpooledArguments } from "./spooled";
import type { PyValue } from "./values";

interface QuietCall {
  readonly owner: OwnerSpec;
  /** The connection that it must go over, because what it names is there; null: any. */
  readonly agent: string | null;
  readonly result: ResultForm;
  readonly origin: (agent: string) => Origin;
  readonly session?: SessionProcess;
  readonly modules?: readonly string[];
  readonly output?: (stream: "stdout" | "stderr", data: Uint8Array) => void;
}

/** Rejects LazyclusterError. */
export async function callQuietly(
  call: QuietCall & { readonly fn: FunctionSpec; readonly args: readonly PyValue[] },
): Promise<unknown> {
  try {
    return await sendQuietly(call, composeSpec(call.fn, call.args, {}, "the argument"));
  } catch (error) {
    throw error instanceof EngineFailure ? errorFromFailure(error.data) : error;
  }
}

/** Rejects EngineFailure; LazyclusterError for a value that cannot be read. */
export async function sendQuietly(call: QuietCall, composed: ComposedCall): Promise<unknown> {
  const body = {
    id: randomUUID(),
    owner: call.owner,
    agent: call.agent,
    call: {
      ...composed,
      python: null,
      timeoutMs: null,
      session: call.session ?? null,
      result: call.result,
      modules: call.modules ?? [],
    },
  };
  const engine = engineClient();
  const answer = engine.call(body, call.output ?? (() => undefined));
  // Interrupting the cell that awaits it ends it there too; freeing objects is nobody's wait. What becomes of it is the call's to tell.
  const interrupted = composed.fn.kind === "forget" ? undefined : notebookHost()?.awaitingCell()?.signal;
  const cancel = (): void => void engine.requestQuietly("cancel", { id: body.id });
  interrupted?.addEventListener("abort", cancel);
  if (interrupted?.aborted) cancel();
  try {
    const { value, agent } = await answer;
    return await new ReceivedValue(value, call.origin(agent)).load();
  } finally {
    interrupted?.removeEventListener("abort", cancel);
    if (composed.arguments instanceof SpooledArguments) composed.arguments.release();
  }
}
