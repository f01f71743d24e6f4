/** Commands and functions: a process on the host with its output, its result and its end. */
import { EngineFailure } from "../engine/protocol";
import { type Encodable, type Frame, WireError } from "../wire";
import type { AgentClient } from "./agent-client";
import { agentFailure, harmless } from "./agent-error";

/** [bytes] that the value of one function may have. */
const MAX_VALUE = 1024 * 1024 * 1024;
const KEEP = (): void => undefined;
const STDOUT = 1;
const STDERR = 2;
const VALUE = 3;

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly why: "exit" | "timeout" | "cancelled";
  /** What a function raised. */
  readonly raised: { readonly type: string; readonly message: string; readonly traceback: string } | null;
  /** Of a function that returned: its value document. */
  readonly value: Buffer | null;
}

export interface ProcessSinks {
  started(pid: number): void;
  /** `release` must be called when the bytes are gone; until then they count against the producer. */
  output(stream: "stdout" | "stderr", bytes: Buffer, release: () => void): void;
}

export interface StepProcess {
  /** Rejects EngineFailure when it could not start, or the host was lost. */
  readonly ended: Promise<ProcessEnd>;
  cancel(): void;
}

/** @param input what it reads: stdin of a command, the arguments of a function; null: nothing. */
export function startProcess(
  agent: AgentClient,
  op: "run" | "call",
  fields: { readonly [field: string]: Encodable },
  input: Uint8Array | null,
  sinks: ProcessSinks,
): StepProcess {
  const value: Buffer[] = [];
  let valueSize = 0;
  let settle: (end: ProcessEnd) => void = () => undefined;
  let fail: (why: EngineFailure) => void = () => undefined;
  const ended = new Promise<ProcessEnd>((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  /** In the pieces that it came in; the credit of the whole is given back with the last. */
  const output = (stream: "stdout" | "stderr", { pieces, size }: Frame): void => {
    if (pieces.length === 0) operation.grant(size);
    pieces.forEach((piece, index) => {
      sinks.output(stream, piece, index === pieces.length - 1 ? () => operation.grant(size) : KEEP);
    });
  };
  const message = (frame: Frame): void => {
    const { header } = frame;
    if (header.op === "started") {
      sinks.started(header.integer("pid", 1));
      return;
    }
    if (header.op !== "data") throw new WireError(`an unexpected ${header.op}`);
    switch (header.integer("s")) {
      case STDOUT:
        output("stdout", frame);
        break;
      case STDERR:
        output("stderr", frame);
        break;
      case VALUE:
        valueSize += frame.size;
        if (valueSize > MAX_VALUE) throw new WireError("a value of more than 1 GiB");
        // A payload may be a view of a larger piece; a value may live long.
        value.push(...frame.pieces.map((piece) => Buffer.from(piece)));
        operation.grant(frame.size);
        break;
      default:
        throw new WireError("data of an unknown stream");
    }
  };
  const operation = agent.open(op, fields, {
    message,
    ended: (outcome) => {
      if (outcome instanceof EngineFailure) fail(outcome);
      else if (outcome.header.op === "exit") settle(readEnd(outcome.header, value));
      else fail(agentFailure(agent.host, outcome.header));
    },
  });
  if (input) void operation.sendAll(input);
  return { ended, cancel: () => operation.cancel() };
}

function readEnd(header: Frame["header"], value: Buffer[]): ProcessEnd {
  const why = header.text("why");
  if (why !== "exit" && why !== "timeout" && why !== "cancelled") throw new WireError(`an exit because of ${why}`);
  const raised = header.optionalMap("raised");
  const text = (name: string): string => {
    const field = raised?.get(name);
    return typeof field === "string" ? harmless(field) : "";
  };
  return {
    code: header.optionalInteger("code"),
    signal: header.optionalText("sig"),
    why,
    raised: raised && { type: text("type"), message: text("message"), traceback: text("traceback") },
    value: value.length > 0 ? Buffer.concat(value) : null,
  };
}
