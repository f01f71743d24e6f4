/** What belongs to a running cell: what it awaits, and nothing else. An interrupt ends this, and what was started without `await` goes on. */
import { AsyncLocalStorage } from "async_hooks";
import { printPromisesPlainly } from "./plain-promises";

/** [ms] in which an interrupted cell may still tidy up (`finally`); then what it awaits never comes. */
const TIDY_MS = 5000;

/** What the code of a cell gets where it was interrupted. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  constructor() {
    super("The cell was interrupted.");
  }
}

/** A cell that is being executed. */
export class CellScope {
  private readonly controller = new AbortController();
  private interruptedAt: number | null = null;
  private readonly waiting = new Set<(error: Interrupted) => void>();

  /** @param id grows from cell to cell. */
  constructor(readonly id: number) {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  interrupt(): void {
    if (this.interruptedAt !== null) return;
    this.interruptedAt = performance.now();
    this.controller.abort(new Interrupted());
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const reject of waiting) reject(new Interrupted());
  }

  /** What the work gives, unless the cell is interrupted before. */
  async guard<T>(work: () => T | PromiseLike<T>): Promise<T> {
    const since = this.interruptedAt;
    if (since !== null && performance.now() - since > TIDY_MS) return new Promise(() => undefined);
    let end: (error: Interrupted) => void = () => undefined;
    const interrupted = new Promise<never>((_, reject) => (end = reject));
    interrupted.catch(() => undefined);
    if (since === null) this.waiting.add(end);
    try {
      return await Promise.race([call(work), interrupted]);
    } finally {
      this.waiting.delete(end);
    }
  }
}

/** So that what a cell starts where it awaits knows the cell, however deep. */
export class Scopes {
  /** Made on demand: it costs every promise of the process a little. */
  private storage: AsyncLocalStorage<CellScope> | null = null;
  /** Of the cell that runs, and of those that were interrupted: their code may go on as if nothing had happened. */
  private readonly open = new Map<number, CellScope>();

  /** A cell begins. */
  begin(id: number): CellScope {
    const scope = new CellScope(id);
    this.open.set(id, scope);
    return scope;
  }

  /** The cell ended. */
  end(scope: CellScope): void {
    if (!scope.signal.aborted) this.open.delete(scope.id);
  }

  /** By its id; undefined: it has ended. */
  find(id: number): CellScope | undefined {
    return this.open.get(id);
  }

  /** From now on `current` is told. */
  follow(): void {
    if (this.storage) return;
    this.storage = new AsyncLocalStorage();
    printPromisesPlainly();
  }

  /** The cell that awaits what runs now; undefined in what goes on by itself. */
  current(): CellScope | undefined {
    return this.storage?.getStore();
  }

  run<T>(scope: CellScope, work: () => T): T {
    return this.storage ? this.storage.run(scope, work) : work();
  }
}

async function call<T>(work: () => T | PromiseLike<T>): Promise<T> {
  return await work();
}
