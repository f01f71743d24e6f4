import { cancelled } from "./connection-errors";

/**
 * Stops waiting when the signal is aborted, with ERR_CANCELLED; the work itself, which others may share, goes on, and
 * its failure is nobody's then.
 */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal, host: string): Promise<T> {
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(cancelled(host));
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([aborted, work]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
