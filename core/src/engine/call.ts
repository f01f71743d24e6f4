/** A call of a Python function on a host, with the objects that it takes. */
import {
  type AgentClient,
  type ProcessEnd,
  type ProcessHost,
  type ProcessSinks,
  startProcess,
  untilEnd,
} from "../host";
import { forgetWorker } from "./js-worker";
import type { ObjectStore } from "./objects";
import { type ProcessPlace, callRequest } from "./process-request";
import type { CallSpec } from "./protocol";
import type { SessionPlaces } from "./session-places";

export interface CallContext extends ProcessSinks, ProcessPlace {
  readonly agent: AgentClient;
  /** Runs it: the agent, or what was recorded there. */
  readonly processes: ProcessHost;
  readonly signal: AbortSignal;
  readonly objects: ObjectStore;
  readonly sessions: SessionPlaces;
}

/** Rejects EngineFailure when it could not start, or the host was lost. */
export async function runCall(call: CallSpec, context: CallContext): Promise<ProcessEnd> {
  const { agent, objects, signal, scope } = context;
  const { session } = call;
  if (session !== null) context.sessions.meet(session, agent);
  const held = await objects.hold(call, agent, signal);
  try {
    const changed = (): void => {
      if (session !== null) objects.sessionRan(agent, scope, session);
    };
    changed();
    const { op, fields, input } = callRequest(call, context, agent, held.paths);
    const process = startProcess(context.processes, op, fields, input, context);
    try {
      return await untilEnd(process, signal);
    } catch (error) {
      forgetWorker(agent);
      throw error;
    } finally {
      changed();
    }
  } finally {
    held.release();
  }
}
