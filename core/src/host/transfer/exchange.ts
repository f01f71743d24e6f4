/** One operation of an agent from its start to its end, as a promise. */
import { EngineFailure } from "../../engine/protocol";
import { type Encodable, type Frame, Header } from "../../wire";
import type { AgentClient } from "../agent/client";
import { agentFailure } from "../agent/error";
import type { Operation } from "../agent/operation";
import { unpack } from "./packing";

export interface Exchange {
  readonly operation: Operation;
  /** Resolves with the last message; rejects EngineFailure. An abort of the signal cancels it. */
  readonly done: Promise<Header>;
}

type Fields = Readonly<Record<string, Encodable>>;

export function exchange(
  agent: AgentClient,
  op: string,
  fields: Fields,
  signal: AbortSignal,
  message: (frame: Frame, operation: Operation) => void = () => undefined,
): Exchange {
  const cancel = (): void => operation.cancel();
  let settle: (outcome: Frame | EngineFailure) => void = () => undefined;
  const done = new Promise<Header>((resolve, reject) => {
    settle = (outcome) => {
      signal.removeEventListener("abort", cancel);
      if (outcome instanceof EngineFailure) reject(outcome);
      else if (outcome.header.op === "done" || outcome.header.op === "end") resolve(outcome.header);
      else reject(agentFailure(agent.host, outcome.header));
    };
  });
  // Who sends meanwhile looks at it later.
  done.catch(() => undefined);
  const operation: Operation = agent.open(op, fields, {
    message: (frame) => message(frame, operation),
    ended: (outcome) => settle(outcome),
  });
  signal.addEventListener("abort", cancel);
  if (signal.aborted) cancel();
  return { operation, done };
}

/**
 * An operation that sends data to us. The pieces are worked off one after the other, and credit returns when they are;
 * so it bounds how many can wait. What `take` throws ends the operation, and is what this rejects.
 */
export async function receive(
  agent: AgentClient,
  op: string,
  fields: Fields,
  signal: AbortSignal,
  take: (pieces: readonly Buffer[]) => Promise<void> | void,
  ask: (operation: Operation) => Promise<void> = () => Promise.resolve(),
): Promise<Header> {
  let work: Promise<void> = Promise.resolve();
  let broken: { readonly error: unknown } | null = null;
  const { operation, done } = exchange(agent, op, fields, signal, (frame, operation) => {
    work = work.then(async () => {
      if (broken) return;
      try {
        const { header, size } = frame;
        await take(header.flag("z") ? [unpack(frame.payload)] : frame.pieces);
        operation.grant(size);
      } catch (error) {
        broken = { error };
        operation.cancel();
      }
    });
  });
  const ended = ask(operation).then(() => done);
  const end = await ended.catch((error: unknown) => {
    operation.cancel();
    return { error };
  });
  // A host that is gone, or a cancel: what came before is worked off first.
  await done.catch(() => undefined);
  await work;
  // What broke it on our side is the reason, whatever the host makes of the cancel.
  throwIfBroken(broken);
  if (!(end instanceof Header)) throw end.error;
  return end;
}

function throwIfBroken(broken: { readonly error: unknown } | null): void {
  if (broken) throw broken.error;
}
