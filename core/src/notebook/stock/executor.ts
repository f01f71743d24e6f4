/** The executor of a stock tslab kernel, which has a compiler and a console of its own, as the kernel expects one. */
import vm from "vm";
import { cellName } from "../cell-error";
import type { Completions, Converted, Converter, Executor, ExecutorConsole } from "../executor-parts";
import type { Awaits } from "../source/awaits";
import { applyEdits } from "../source/edits";

/** How tslab prints what the compiler found. */
const DIAGNOSTIC = /^(?:(\S+) )?(\d+):(\d+) - (.*)$/;
const PREFIX = /^\((async )?function\(exports, require\) \{ /;
const SUFFIX = "\n})(__tslab__.exports, __tslab__.require)";
const LAST_EXPRESSION = /\bexports\.(tsLastExpr\d*) = /;

/** Takes cells as our compiler hands them on; tslab's own compiles them. */
export class HandedOn implements Converter {
  source = "";

  convert(_previous: string, source: string): Converted {
    this.source = source;
    return { diagnostics: [] };
  }
  inspect(): unknown {
    return null;
  }
  complete(): Completions {
    return { start: 0, end: 0, candidates: [] };
  }
  addModule(): [] {
    return [];
  }
  close(): void {
    // The kernel closes its own.
  }
}

export class StockExecutor implements Executor {
  private failed = false;
  private compiling = false;

  constructor(
    private readonly live: Executor & { readonly locals?: Record<string, unknown> },
    private readonly awaitsOf: (compiled: string) => Awaits,
    private readonly compiler: Converter,
    private readonly handedOn: HandedOn,
    private readonly console: ExecutorConsole,
    /** Of the cell that is executed; null: none of ours is. */
    private readonly cell: () => number | null,
    private readonly keep: (code: string, output: string) => void,
  ) {
    this.hookEvaluation();
  }

  async execute(source: string): Promise<boolean> {
    const refused = this.compiler.convert("", source).diagnostics;
    if (refused.length > 0) return false;
    this.failed = false;
    this.compiling = true;
    const printed: string[] = [];
    const restore = this.divert(printed);
    try {
      const ok = await this.live.execute(this.handedOn.source);
      if (this.isCompiling() && !ok) this.onDiagnostics(printed.join(""));
      return ok;
    } finally {
      restore();
    }
  }

  private isCompiling(): boolean {
    return this.compiling;
  }

  /** While tslab compiles, and once the cell has failed, what it prints is for us. */
  private divert(printed: string[]): () => void {
    const { stderr } = process;
    const write = stderr.write.bind(stderr);
    const before = Object.getOwnPropertyDescriptor(stderr, "write");
    stderr.write = (text: string | Uint8Array, ...rest: unknown[]) => {
      if (!this.compiling && !this.failed) return write(text, ...(rest as []));
      printed.push(String(text));
      return true;
    };
    return () => {
      if (before) Object.defineProperty(stderr, "write", before);
    };
  }

  inspect(source: string, position: number): unknown {
    return this.live.inspect(source, position);
  }
  complete(source: string, position: number): Completions {
    return this.live.complete(source, position);
  }
  interrupt(): void {
    this.live.interrupt();
  }
  close(): void {
    this.live.close();
  }

  /** Where the kernel wants to hear what the compiler found. */
  onDiagnostics: (text: string) => void = () => undefined;

  private hookEvaluation(): void {
    const evaluate = vm.runInThisContext.bind(vm) as (code: string, options?: unknown) => unknown;
    vm.runInThisContext = ((code: string, options?: unknown) => {
      const id = this.cell();
      const prefix = typeof code === "string" ? PREFIX.exec(code)?.[0] : undefined;
      if (id === null || prefix === undefined || !code.endsWith(SUFFIX)) return evaluate(code, options);
      this.compiling = false;
      const body = code.slice(prefix.length, -SUFFIX.length);
      this.keep(this.handedOn.source, body);
      const guarded = applyEdits(body, this.awaitsOf(body).edits).text;
      return this.run(body, () => evaluate(prefix + guarded + SUFFIX, { filename: cellName(id), breakOnSigint: true }));
    }) as typeof vm.runInThisContext;
  }

  /** Result and error go to the kernel, not to tslab's console. */
  private run(body: string, work: () => unknown): unknown {
    const name = LAST_EXPRESSION.exec(body)?.[1];
    const done = (): void => {
      const { locals } = this.live;
      const value = name === undefined ? undefined : locals?.[name];
      if (name === undefined || !locals || value === undefined || value === null) return;
      Reflect.deleteProperty(locals, name);
      this.console.log(value);
    };
    const fail = (error: unknown): never => {
      this.failed = true;
      this.console.error(error);
      throw error;
    };
    try {
      const value = work();
      if (value instanceof Promise) return value.then(done, fail);
      done();
      return value;
    } catch (error) {
      return fail(error);
    }
  }
}

/** From what tslab printed. */
export function parseDiagnostics(
  text: string,
): { file: string | null; line: number; column: number; message: string }[] {
  return text.split("\n").flatMap((line) => {
    const found = DIAGNOSTIC.exec(line);
    if (!found) return [];
    const [, file, row, column, message = ""] = found;
    return [{ file: file ?? null, line: Number(row), column: Number(column), message }];
  });
}
