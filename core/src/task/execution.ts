import { inspect } from "util";
import { type Displayable, type LiveSource, type MimeBundle, jupyterDisplay, showLive } from "../display";
import type { ProcessHandle } from "./process-handle";
import type { RuntimeTask } from "./runtime-task";

/** What an Execution is made of. */
export interface ExecutionParts<T> {
  readonly task: RuntimeTask;
  readonly tasks: readonly RuntimeTask[];
  readonly process: ProcessHandle;
  /** Resolves or rejects with what the Execution does. */
  readonly outcome: () => Promise<T>;
  readonly cancel: () => Promise<void>;
  readonly detached: () => Promise<void>;
  /** How it shows itself, where that is not as its one task does. */
  readonly view?: { readonly show: () => MimeBundle; readonly live: () => LiveSource | null };
}

/**
 * A started execution: a promise of the finished task, of a broadcast of the finished tasks in group order. Rejects
 * TaskExecutionError; InvalidRuntimeError or PathCreationError when no step could start. A failure that nobody awaited
 * waits for `join()`.
 *
 * @example
 * ```ts
 * const execution = runtime.executeTask(task);
 * setTimeout(() => void execution.cancel(), 60_000);
 * await execution;
 * ```
 */
export class Execution<T = RuntimeTask> extends Promise<T> implements Displayable {
  /** `then` gives ordinary promises. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  /** The task that was handed over; of a broadcast it stays `new`, its clones run. */
  readonly task: RuntimeTask;
  /** The tasks that run: `[task]`, or one clone per host in group order. */
  readonly tasks: readonly RuntimeTask[];
  readonly process: ProcessHandle;
  readonly #parts: ExecutionParts<T>;
  #observed: Promise<T> | null = null;

  /** @internal Executions come from `executeTask`. */
  constructor(parts: ExecutionParts<T>) {
    // The state of this promise itself is never used: `then` leads to the outcome, and starts to look at it only when
    // somebody asks. So a failure that nobody awaits is no unhandled rejection.
    super(() => undefined);
    this.#parts = parts;
    this.task = parts.task;
    this.tasks = parts.tasks;
    this.process = parts.process;
  }

  /** Cancels all that still run; resolves when confirmed. The promise rejects with reason `cancelled`. */
  cancel(): Promise<void> {
    return this.#parts.cancel();
  }

  /**
   * Of a task that was started with `detach: true`: resolves when the host has all it needs, so that this process may end.
   * Rejects like the execution itself when it fails before.
   */
  detached(): Promise<void> {
    return this.#parts.detached();
  }

  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#observed ??= this.#parts.outcome();
    return this.#observed.then(onFulfilled, onRejected);
  }

  override catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, onRejected);
  }

  override finally(onFinally?: (() => void) | null): Promise<T> {
    return this.then().finally(onFinally);
  }

  [jupyterDisplay](): MimeBundle {
    return this.#parts.view?.show() ?? this.task[jupyterDisplay]();
  }

  [inspect.custom](depth: number): string {
    const { view } = this.#parts;
    return view ? showLive(depth, view.show, view.live()) : this.task[inspect.custom](depth);
  }
}
