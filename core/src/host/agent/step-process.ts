/** Commands and functions: a process on the host with its output, its result and its end. */
import { type ArgumentData, EngineFailure, type ValueData } from "../../engine/protocol";
import { type Encodable, type Frame, WireError } from "../../wire";
import { agentFailure } from "./error";
import { harmless } from "../shared/harmless";
import { AnnouncedSize } from "./announced-size";
import type { Operation, OperationListener } from "./operation";
import { ResultReader } from "./result-reader";
import { sendInput } from "./step-input";
import type { Progress } from "../shared/progress";
import { within } from "../shared/within";

/** [ms] beyond its time limit for a step that its host ends: the agent gives processes three seconds, and a busy host some more. */
const PATIENCE_MS = 30_000;
const LATE: ProcessEnd = {
  code: null,
  signal: null,
  why: "timeout",
  raised: null,
  sessionLost: false,
  value: null,
};
/** [ms] that a timer can hold. */
const MOST_MS = 2 ** 31 - 1;
/** [bytes] from which arguments and values are worth a word on their progress. */
const LARGE = 1024 * 1024;
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
  /** The process of its session is gone. */
  readonly sessionLost: boolean;
  /** Of a function that returned. */
  readonly value: ValueData | null;
}

export interface ProcessSinks {
  started(pid: number): void;
  /** `release` must be called when the bytes are gone; until then they count against the producer. */
  output(stream: "stdout" | "stderr", bytes: Buffer, release: () => void): void;
  /** Of arguments and values that take their time. */
  progress(progress: Progress): void;
  /** A path for a private file, for values that are too large for memory. */
  newFile(): string;
}

export interface StepProcess {
  /** Rejects EngineFailure when it could not start, or the host was lost. */
  readonly ended: Promise<ProcessEnd>;
  cancel(): void;
}

/** An operation as the process of a step needs it. */
export type ProcessOperation = Pick<Operation, "grant" | "cancel" | "send">;

/** An agent, or what was recorded by one. */
export interface ProcessHost {
  readonly host: string;
  /** True: it goes on whether we are there or not. */
  readonly recorded?: boolean;
  open(op: string, fields: { readonly [field: string]: Encodable }, listener: OperationListener): ProcessOperation;
}

/** @param input what it reads: stdin of a command, the arguments of a function; null: nothing. */
export function startProcess(
  agent: ProcessHost,
  op: "run" | "call",
  fields: { readonly [field: string]: Encodable },
  input: ArgumentData | null,
  sinks: ProcessSinks,
): StepProcess {
  const report = (bytes: number, totalBytes: number | null): void => {
    if (bytes >= LARGE) sinks.progress({ bytes, totalBytes, files: 0, totalFiles: null });
  };
  const value = new ValueStream(agent.host, sinks, report, () => operation.cancel());
  /** Of our own, and the reason whatever the host makes of the cancel. */
  let broken: EngineFailure | null = null;
  let settle: (end: ProcessEnd) => void = () => undefined;
  let fail: (why: EngineFailure) => void = () => undefined;
  const settled = new Promise<ProcessEnd>((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  /** The host did not tell its end within its time limit, and long after. */
  let late = false;
  let runs = false;
  const startClock = (): void => {
    const { timeout } = fields;
    if (runs || typeof timeout !== "number" || agent.recorded) return;
    runs = true;
    const onLate = (): void => {
      late = true;
      operation.cancel();
    };
    void within(Math.min(timeout + PATIENCE_MS, MOST_MS), settled, onLate).catch(() => undefined);
  };
  const message = (frame: Frame): void => {
    const { header } = frame;
    if (header.op === "started") {
      sinks.started(header.integer("pid", 1));
      startClock();
      return;
    }
    if (header.op !== "data") throw new WireError(`an unexpected ${header.op}`);
    const release = (): void => operation.grant(frame.size);
    switch (header.integer("s")) {
      case STDOUT:
        passOn(sinks, "stdout", frame, release);
        break;
      case STDERR:
        passOn(sinks, "stderr", frame, release);
        break;
      case VALUE:
        value.take(frame, release);
        break;
      default:
        throw new WireError("data of an unknown stream");
    }
  };
  const operation = agent.open(op, fields, {
    message,
    ended: (outcome) => {
      if (outcome instanceof EngineFailure) {
        if (late && outcome.data.code === "ERR_CANCELLED") settle(LATE);
        else fail(outcome);
      } else if (outcome.header.op === "exit") settle(late ? LATE : readEnd(outcome.header));
      else fail(agentFailure(agent.host, outcome.header));
    },
  });
  if (input) {
    const size = input.kind === "memory" ? input.bytes.length : input.size;
    sendInput(operation, input, agent.host, (bytes) => report(size < LARGE ? 0 : bytes, size)).catch(
      (error: unknown) => {
        if (error instanceof EngineFailure) broken = error;
        operation.cancel();
      },
    );
  }
  const ended = finish(agent.host, settled, value, () => broken);
  // A call of a session waits for its turn before its time begins.
  if (!("session" in fields)) startClock();
  return { ended, cancel: () => operation.cancel() };
}

async function finish(
  host: string,
  settled: Promise<ProcessEnd>,
  value: ValueStream,
  broken: () => EngineFailure | null,
): Promise<ProcessEnd> {
  try {
    const end = await settled;
    const failure = broken();
    if (failure) throw failure;
    if (end.why === "exit") return { ...end, value: await value.finish() };
    await value.discard();
    return end;
  } catch (error) {
    await value.discard().catch(() => undefined);
    if (!(error instanceof WireError)) throw broken() ?? error;
    throw new EngineFailure({
      code: "ERR_OTHER",
      host,
      message: `${host}: a function's value could not be read: ${error.message}.`,
    });
  }
}

/** In the pieces that it came in; the credit of the whole is given back with the last. */
function passOn(sinks: ProcessSinks, stream: "stdout" | "stderr", { pieces }: Frame, release: () => void): void {
  if (pieces.length === 0) release();
  pieces.forEach((piece, index) => {
    sinks.output(stream, piece, index === pieces.length - 1 ? release : KEEP);
  });
}

/** The frames of a call's value. */
class ValueStream {
  private reader: ResultReader | null = null;
  private readonly announced = new AnnouncedSize();

  constructor(
    private readonly host: string,
    private readonly sinks: ProcessSinks,
    private readonly report: (bytes: number, totalBytes: number | null) => void,
    private readonly cancel: () => void,
  ) {}

  take(frame: Frame, release: () => void): void {
    this.announced.take(frame.pieces);
    this.reader ??= new ResultReader({
      host: this.host,
      newFile: () => this.sinks.newFile(),
      failed: this.cancel,
      progress: (bytes) => this.report(bytes, this.announced.size),
    });
    this.reader.take(frame, release);
  }

  async finish(): Promise<ValueData | null> {
    return (await this.reader?.finish()) ?? null;
  }

  async discard(): Promise<void> {
    await this.reader?.discard();
  }
}

function readEnd(header: Frame["header"]): ProcessEnd {
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
    sessionLost: header.flag("sessionLost"),
    value: null,
  };
}

/** A signal that is aborted cancels it; how it ends then is the host's to say. */
export async function untilEnd(process: StepProcess, signal: AbortSignal): Promise<ProcessEnd> {
  const cancel = (): void => process.cancel();
  signal.addEventListener("abort", cancel);
  if (signal.aborted) cancel();
  try {
    return await process.ended;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}
