/** What the end of a process means. */
import type { ProcessEnd } from "../host";
import type { FailureData, TaskFailureReason } from "./protocol";

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

/** @param check a process that ends with another code than 0, or by a signal, has failed. */
export function judge(end: ProcessEnd, timeoutMs: number | null, check: boolean): StepOutcome {
  const outcome = { exitCode: end.code, signal: end.signal };
  const failed = (reason: TaskFailureReason, what: string, cause: FailureData | null = null): StepOutcome => ({
    ...outcome,
    failure: { reason, what, cause },
  });
  const [lost, why]: [string, FailureData | null] = end.sessionLost
    ? [
        "; its session did not react and was ended, so its variables are gone",
        { code: "ERR_PYTHON", message: "the session was ended; its variables are gone", sessionLost: true },
      ]
    : ["", null];
  if (end.why === "cancelled") return failed("cancelled", `was cancelled${lost}`, why);
  if (end.why === "timeout") return failed("timeout", `did not end within ${String(timeoutMs)} ms${lost}`, why);
  if (end.raised) {
    const { type, message, traceback } = end.raised;
    const shown = message === "" ? type : `${type}: ${message}`;
    const cause: FailureData = { code: "ERR_PYTHON", message: shown };
    return failed("failed", `raised ${shown}`, traceback === "" ? cause : { ...cause, remoteTraceback: traceback });
  }
  if (end.signal !== null && check) return failed("failed", `was ended by ${end.signal}`);
  if (end.code !== 0 && check) return failed("failed", `ended with exit code ${String(end.code)}`);
  return { ...outcome, failure: null };
}

/** With its end. */
export function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
