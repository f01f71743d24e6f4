/** What a thread must have at hand to be stopped without harm. */

import type { ThreadState } from "./thread-state";

/** Where the thread leaves what clears its ids. */
export const CLEAR = "__lazycluster_clear_async_ids__";

/** In the thread that is to be interrupted, once. */
export function prepareToBeStopped(state: ThreadState): void {
  const { noDeprecation } = process;
  // Nothing that is not deprecated does it; Node 24 does not need it any more.
  process.noDeprecation = true;
  let clear = (): void => undefined;
  try {
    const internals = process as unknown as { binding(name: string): { clearAsyncIdStack?(): void } };
    const wrap = internals.binding("async_wrap");
    clear = () => wrap.clearAsyncIdStack?.();
  } catch {
    // A Node without it.
  } finally {
    if (noDeprecation === undefined) delete process.noDeprecation;
    else process.noDeprecation = noDeprecation;
  }
  const prepare = (): void => {
    if (state.park()) clear();
  };
  Object.defineProperty(globalThis, CLEAR, { value: prepare, configurable: true });
}
