/** What is used and changed of the TypeScript compiler that tslab brings, as it is in the one version that is accepted. */

export type CompilerOptions = Readonly<Record<string, unknown>> & {
  readonly paths?: Readonly<Record<string, readonly string[]>>;
  readonly typeRoots?: readonly string[];
};

/** The part of TypeScript's `sys` by which it puts work off. */
export interface Timers {
  setTimeout(callback: () => void): unknown;
  clearTimeout(timer: unknown): void;
}

interface SourceFile {
  readonly path: string;
}

/** What is used of the host that TypeScript asks for all that it needs. */
export interface WatchHost {
  resolveModuleNameLiterals?(
    literals: readonly { readonly text: string }[],
    containingFile: string,
    redirected: unknown,
    options: CompilerOptions,
    source: SourceFile,
  ): readonly Resolution[];
  hasInvalidatedResolutions?(path: string): boolean;
}

interface Resolution {
  readonly resolvedModule?: object;
}

export type ResolveModule = (
  name: string,
  containingFile: string,
  options: CompilerOptions,
  host: WatchHost,
  cache: undefined,
  redirected: unknown,
) => Resolution;

/** What is changed of tslab's fork of the TypeScript compiler. */
export interface Hookable {
  createWatchCompilerHost(
    rootFiles: readonly string[],
    options: CompilerOptions,
    system: Timers,
    ...rest: unknown[]
  ): WatchHost;
  readonly resolveModuleName: ResolveModule;
  transpileModule(
    input: string,
    options: { compilerOptions?: CompilerOptions },
  ): { outputText: string; sourceMapText?: string };
}
