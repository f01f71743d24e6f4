/** The parts of tslab that the kernel is built around, as they are in the one version that it accepts. */
import type { TypeScript } from "./source/typescript";

export const TSLAB_VERSION = "1.0.22";

interface TslabPosition {
  readonly offset: number;
  /** From 0. */
  readonly line: number;
  readonly character: number;
}

export interface TslabDiagnostic {
  readonly start: TslabPosition;
  readonly messageText: string;
  readonly code: number;
  readonly fileName?: string;
}

export interface Converted {
  output?: string;
  declOutput?: string;
  diagnostics: readonly TslabDiagnostic[];
  hasToplevelAwait?: boolean;
  lastExpressionVar?: string;
}

export interface Completions {
  readonly start: number;
  readonly end: number;
  readonly candidates: readonly string[];
  readonly original?: { readonly entries?: readonly { readonly name: string; readonly kind: string }[] } | null;
}

/** Compiles cells. */
export interface Converter {
  convert(previous: string, source: string): Converted;
  inspect(previous: string, source: string, position: number): unknown;
  complete(previous: string, source: string, position: number): Completions;
  addModule(name: string, content: string, meta: unknown): readonly TslabDiagnostic[];
  close(): void;
}

/** Runs cells, one at a time. */
export interface Executor {
  /** False where the cell failed; what it threw went to `error` of its console. */
  execute(source: string): Promise<boolean>;
  inspect(source: string, position: number): unknown;
  complete(source: string, position: number): Completions;
  interrupt(): void;
  close(): void;
}

export interface ConverterSet {
  readonly node: Converter;
  readonly browser: Converter;
  close(): void;
}

/** `log` gets the last expression; `error` what was thrown, or a format and a diagnostic's parts. */
export interface ExecutorConsole {
  log(value: unknown): void;
  error(first: unknown, ...rest: unknown[]): void;
}

export interface TslabParts {
  readonly typescript: TypeScript;
  createConverter(options: { isJS: boolean; isBrowser: boolean }): Converter;
  createExecutor(rootDir: string, converters: ConverterSet, console: ExecutorConsole): Executor;
  printQuickInfo(info: unknown): string;
  /** The source maps of code that was compiled last, from the first pass to the last; empty where none were made. */
  mapsOf(output: string): readonly string[];
}
