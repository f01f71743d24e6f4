import { EngineFailure } from "../engine/protocol";
import { cancelled } from "./connection-errors";

export interface Bounds {
  readonly host: string;
  readonly signal: AbortSignal;
  /** [ms] */
  readonly timeoutMs: number;
  /** What to tell when the time is over. */
  readonly tooLate: () => EngineFailure;
}

/**
 * Waits for whatever comes first: what `listen` hears, the end of the time, or the signal (ERR_CANCELLED). What comes
 * later counts for nothing.
 * @param listen starts to listen, and gives what stops it
 */
export function firstOutcome<T>(
  { host, signal, timeoutMs, tooLate }: Bounds,
  listen: (resolve: (value: T) => void, reject: (error: Error) => void) => () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let settled = false;
    let stop = (): void => undefined;
    const settle = (outcome: () => void): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      stop();
      outcome();
    };
    const onAbort = (): void => settle(() => reject(cancelled(host)));
    const timer = setTimeout(() => settle(() => reject(tooLate())), timeoutMs);
    signal.addEventListener("abort", onAbort);
    stop = listen(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    );
    // It may have been over before `listen` returned.
    if (settled as boolean) stop();
    else if (signal.aborted) onAbort();
  });
}
