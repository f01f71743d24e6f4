import { setTimeout as pause } from "node:timers/promises";

/** [ms] between two looks. */
const LOOK_MS = 10;

/**
 * Waits until `look` neither throws nor gives false; gives what it gave last. Rejects after `timeoutMs` with what was
 * wrong then.
 */
export async function eventually<T>(look: () => T | Promise<T>, timeoutMs: number, what?: string): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let wrong: unknown;
    try {
      const seen = await look();
      if (seen !== false) return seen;
      wrong = new Error("it did not happen");
    } catch (error) {
      wrong = error;
    }
    if (Date.now() >= deadline) {
      const message = wrong instanceof Error ? wrong.message : String(wrong);
      throw new Error(`${what ?? "waited in vain"}, after ${timeoutMs} ms: ${message}`, { cause: wrong });
    }
    await pause(LOOK_MS);
  }
}

/** [ms] until `look` holds; rejects when that takes longer than `timeoutMs`. */
export async function timeUntil(look: () => unknown, timeoutMs: number, what?: string): Promise<number> {
  const start = performance.now();
  await eventually(look, timeoutMs, what);
  return performance.now() - start;
}

/** What the promise rejects with. */
export async function rejection(work: PromiseLike<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await work;
  } catch (error) {
    return error;
  }
  throw new Error(`it should have been rejected, and gave ${String(value)}`);
}
