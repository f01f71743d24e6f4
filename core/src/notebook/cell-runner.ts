/** Executes cells with tslab's executor, one after the other, and tells what became of each. */
import vm from "vm";
import type { MimeBundle } from "../display/jupyter";
import { CellCompiler } from "./cell-compiler";
import { type CellError, type Diagnostic, cellName, runtimeError, syntaxError } from "./cell-error";
import type { Completions, Executor, TslabParts } from "./executor-parts";
import type { ThreadState } from "./interrupt/thread-state";
import { type CellScope, Interrupted, type Scopes } from "./scope";
import { type Alike, type CellTrail, type Place, placeInCell } from "./source-map";
import { type Awaits, awaitEdits } from "./source/awaits";
import { applyEdits } from "./source/edits";
import type { TypeScript } from "./source/typescript";
import { Trampoline } from "./trampoline";

export interface CellOutcome {
  readonly error: CellError | null;
  /** Of the last expression; null where there is none. */
  readonly result: MimeBundle | null;
}

/** Cells whose places are still known, for functions that were defined in one and fail later. */
const KEPT_TRAILS = 2000;
/** How the executor wraps compiled cells. */
const PREFIXES = ["(async function(exports, require) { ", "(function(exports, require) { "];

export class CellRunner {
  readonly executor: Executor;
  readonly compiler: CellCompiler;
  /** The cell that is being executed. */
  current: CellScope | null = null;
  private readonly trails = new Map<number, CellTrail>();
  private unnamed = 0;
  /** Of the cell that is executed. */
  private source = "";
  private thrown: { readonly error: unknown } | null = null;
  private failed = false;
  private value: { readonly value: unknown } | null = null;
  private end: (outcome: CellOutcome) => void = () => undefined;
  private trampoline = new Trampoline();
  private readonly typescript: TypeScript;

  constructor(
    parts: TslabParts,
    private readonly state: ThreadState,
    private readonly scopes: Scopes,
    /** What the last expression of a cell shows of itself; null: nothing. */
    private readonly show: (value: unknown) => MimeBundle | null,
  ) {
    this.typescript = parts.typescript;
    this.compiler = new CellCompiler(parts.createConverter({ isJS: false, isBrowser: false }), parts, (code) =>
      this.awaitsOf(code),
    );
    let browser: ReturnType<TslabParts["createConverter"]> | null = null;
    const converters = {
      node: this.compiler,
      get browser() {
        return (browser ??= parts.createConverter({ isJS: false, isBrowser: true }));
      },
      close: () => {
        this.compiler.close();
        browser?.close();
      },
    };
    this.executor = parts.createExecutor(process.cwd(), converters, {
      log: (value) => (this.value = { value }),
      error: (first, ...rest) => this.fail(first, rest),
    });
    this.hookEvaluation();
  }

  /**
   * Executes a cell. Never rejects.
   *
   * @param id how it is called in stacks; default: one that no other cell has.
   */
  run(source: string, id = --this.unnamed): Promise<CellOutcome> {
    const scope = this.scopes.begin(id);
    this.current = scope;
    this.source = source;
    this.thrown = null;
    this.value = null;
    this.failed = false;
    return new Promise((resolve) => {
      const end = (outcome: CellOutcome): void => {
        if (this.current !== scope) return;
        this.current = null;
        this.scopes.end(scope);
        resolve(outcome);
      };
      // In a turn of its own: what else runs in the turn in which the cell ends may yet be stopped, and the end with it.
      const endSoon = (outcome: CellOutcome): void => {
        if (this.current === scope) this.trampoline.start(() => end(outcome));
      };
      this.end = endSoon;
      this.trampoline.start(() => void this.execute(scope, source).then(endSoon));
    });
  }

  /**
   * The thread was stopped; what the cell did then is over. It does not end by itself: what it ran on is gone. Nor is what
   * it entered there ever left, so the next cell starts from another place.
   */
  threadStopped(): void {
    this.trampoline.close();
    this.trampoline = new Trampoline();
    forgetUnfinishedModules();
    this.interrupt();
    this.end(this.interruption());
  }

  /** Ends the cell and what it awaits. */
  interrupt(): void {
    this.current?.interrupt();
    this.executor.interrupt();
  }

  /** Of the compiled code of the cell that is executed. */
  awaitsOf(code: string): Awaits {
    const awaits = awaitEdits(this.typescript, code, this.current?.id ?? 0);
    // Before its code runs: what awaits in its functions belongs to whoever calls them.
    if (awaits.edits.length > 0) this.scopes.follow();
    return awaits;
  }

  /** Where another compiler than ours compiles: what it found. */
  setDiagnostics(diagnostics: readonly Diagnostic[]): void {
    this.compiler.diagnostics = diagnostics;
  }

  /** Likewise: what the cell that runs became. */
  keepCompiled(code: string, output: string): void {
    const same = applyEdits(output, []);
    if (!this.current) return;
    this.keep(this.current.id, {
      source: this.source,
      rewritten: same,
      addedLines: 0,
      maps: [],
      output,
      guarded: same,
      prefix: 0,
      alike: once(() => this.transpile(code)),
    });
  }

  inspect(source: string, position: number): unknown {
    return this.executor.inspect(source, position);
  }

  complete(source: string, position: number): Completions {
    return this.executor.complete(source, position);
  }

  /** An error of a cell, or of what a cell left behind. */
  describe(error: unknown): CellError {
    return runtimeError(
      error,
      (cell, line, column) => this.locate(cell, line, column),
      (cell) => this.trails.get(cell)?.source ?? null,
    );
  }

  private async execute(scope: CellScope, source: string): Promise<CellOutcome> {
    let ok = false;
    try {
      ok = await this.executor.execute(source);
    } catch (error) {
      this.thrown = { error };
    }
    try {
      return this.outcome(scope, source, ok);
    } catch (error) {
      return { error: this.describe(error), result: null };
    }
  }

  private outcome(scope: CellScope, source: string, ok: boolean): CellOutcome {
    if (scope.signal.aborted || this.state.wasInterrupted || isSignal(this.thrown?.error)) return this.interruption();
    if (!ok || this.failed || this.compiler.diagnostics.length > 0) {
      const { diagnostics } = this.compiler;
      const error = this.thrown ? this.describe(this.thrown.error) : syntaxError(scope.id, source, diagnostics);
      return { error, result: null };
    }
    return { error: null, result: this.value ? this.show(this.value.value) : null };
  }

  private interruption(): CellOutcome {
    const error = this.thrown?.error;
    return { error: this.describe(error instanceof Interrupted ? error : new Interrupted()), result: null };
  }

  private fail(first: unknown, rest: readonly unknown[]): void {
    this.failed = true;
    // With more arguments it is the format of a diagnostic, which the compiler has told already.
    if (rest.length === 0) this.thrown ??= { error: first };
  }

  private locate(cell: number, line: number, column: number): Place | null {
    const trail = this.trails.get(cell);
    return trail ? placeInCell(trail, line, column) : null;
  }

  /** The executor gives its code no name; stacks could not tell one cell from another. */
  private hookEvaluation(): void {
    const evaluate = vm.runInThisContext.bind(vm) as (
      code: string,
      options?: vm.RunningCodeOptions | string,
    ) => unknown;
    vm.runInThisContext = ((code: string, options?: vm.RunningCodeOptions | string) => {
      const { trail } = this.compiler;
      const prefix = PREFIXES.find((text) => typeof code === "string" && code.startsWith(text));
      if (!this.current || !trail || prefix === undefined || !code.startsWith(trail.guarded.text, prefix.length)) {
        return evaluate(code, options);
      }
      this.compiler.trail = null;
      const { id, signal } = this.current;
      this.keep(id, { ...trail, prefix: prefix.length });
      if (this.state.wasInterrupted || signal.aborted) throw new Interrupted();
      return evaluate(code, { filename: cellName(id) });
    }) as typeof vm.runInThisContext;
  }

  private transpile(code: string): Alike {
    const { ScriptTarget, ModuleKind, transpileModule } = this.typescript;
    const { outputText, sourceMapText } = transpileModule(code, {
      compilerOptions: {
        target: ScriptTarget.ES2022,
        module: ModuleKind.CommonJS,
        esModuleInterop: true,
        sourceMap: true,
      },
    });
    return { text: outputText, map: sourceMapText ?? "" };
  }

  private keep(id: number, trail: CellTrail): void {
    this.trails.set(id, trail);
    const oldest = this.trails.keys().next();
    if (this.trails.size > KEPT_TRAILS && oldest.value !== undefined) this.trails.delete(oldest.value);
  }
}

/** What was stopped while it was loaded is loaded anew by whoever asks for it next. */
function forgetUnfinishedModules(): void {
  for (const [file, module] of Object.entries(require.cache))
    if (module?.loaded === false) Reflect.deleteProperty(require.cache, file);
}

/** Node's own way to end what runs before the first `await`. */
function isSignal(error: unknown): boolean {
  return (error as { code?: unknown } | null | undefined)?.code === "ERR_SCRIPT_EXECUTION_INTERRUPTED";
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}
