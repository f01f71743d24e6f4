/** What a thread must have at hand to be stopped without harm. */
import { createRequire } from "module";
import { runsUserCode } from "./own-code";
import type { ThreadState } from "./thread-state";

/** Where the thread leaves what another one calls to stop it, with the number of an offer. */
const STAND = "__lazycluster_stand_still__";

/** An expression for the inspector. As code of Node itself it is no code of a cell. */
export function standExpression(offer: number): string {
  return `${STAND}(${String(offer)})\n//# sourceURL=node:lazycluster`;
}

/** What is used of Node's insides. */
interface AsyncWrap {
  clearAsyncIdStack?(): void;
  /** What the asynchronous work that was entered belongs to; its length follows the stack of ids. */
  readonly execution_async_resources?: unknown[];
}

/** In the thread that is to be interrupted, once. */
export function prepareToBeStopped(state: ThreadState): void {
  const wrap = findAsyncWrap();
  const prepare = (): void => {
    wrap.clearAsyncIdStack?.();
    if (wrap.execution_async_resources) keepCleared(wrap.execution_async_resources);
  };
  const stand = (offer: number): void => state.stand(offer, () => runsUserCode(stand), prepare);
  Object.defineProperty(globalThis, STAND, { value: stand, configurable: true });
}

/**
 * What is stopped goes on to the next loop or call of a function, and might enter asynchronous work on the way there, which
 * nothing leaves any more. The first that this does is to note its resource: now a call, which is stopped before any id is
 * noted. Where nothing was stopped, it is as it was.
 */
function keepCleared(resources: unknown[]): void {
  Object.defineProperty(resources, 0, {
    get: () => undefined,
    set: (resource: unknown) => {
      for (let look = 0; look < 2; look++);
      Object.defineProperty(resources, 0, { value: resource, writable: true, enumerable: true, configurable: true });
    },
    enumerable: true,
    configurable: true,
  });
}

type Binding = (name: string) => AsyncWrap;

/** Where Node was told to show them: from version 24 on there is no other way. */
function fromInternals(): AsyncWrap {
  const warn = process.emitWarning.bind(process);
  // That this is not for everybody is known.
  process.emitWarning = () => undefined;
  try {
    const internals = createRequire(__filename)("internal/test/binding") as { internalBinding: Binding };
    return internals.internalBinding("async_wrap");
  } catch {
    return {};
  } finally {
    process.emitWarning = warn;
  }
}

/** Empty: a Node without it. Nothing that is not deprecated gives it. */
function findAsyncWrap(): AsyncWrap {
  const { noDeprecation } = process;
  process.noDeprecation = true;
  try {
    return (process as unknown as { binding: Binding }).binding("async_wrap");
  } catch {
    return fromInternals();
  } finally {
    if (noDeprecation === undefined) delete process.noDeprecation;
    else process.noDeprecation = noDeprecation;
  }
}
