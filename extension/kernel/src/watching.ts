/**
 * Packages and files that come, change and go while a kernel runs: its compiler watches them, so as not to read everything
 * again for each cell.
 */
import type { CompilerOptions, Hookable, ResolveModule, Timers, WatchHost } from "./typescript";

/**
 * tslab has room for one timer, which it runs when it compiles a cell. TypeScript sets several: here any number becomes one,
 * and what that sets in turn is run with it.
 */
export function oneTimer<S extends Timers>(system: S): S {
  const waiting = new Set<{ readonly callback: () => void }>();
  /** That of tslab, while there is one. */
  let set: { readonly timer: unknown } | null = null;
  const run = (): void => {
    try {
      // A set goes on to what is added while it is gone through.
      for (const each of waiting) {
        waiting.delete(each);
        each.callback();
      }
    } catch (error) {
      // tslab takes its timer away only when this returns, and would then have no room for another one.
      if (set) system.clearTimeout(set.timer);
      throw error;
    } finally {
      set = null;
    }
  };
  // What it does not change is that of tslab, which looks for its own at other times.
  const changed = Object.create(system) as S;
  changed.setTimeout = (callback: () => void): unknown => {
    const timer = { callback };
    waiting.add(timer);
    set ??= { timer: system.setTimeout(run) };
    return timer;
  };
  changed.clearTimeout = (timer: unknown): void => void waiting.delete(timer as { readonly callback: () => void });
  return changed;
}

/**
 * What a cell imports is looked for at each cell, and what a module of the user misses likewise: it may be there now, in a
 * folder that nobody watches.
 */
export function lookAgain(host: WatchHost, resolve: ResolveModule): void {
  const incomplete = new Set<string>();
  host.resolveModuleNameLiterals = (literals, containingFile, redirected, options, source) => {
    const found = literals.map(({ text }) => resolve(text, containingFile, options, host, undefined, redirected));
    if (found.every(({ resolvedModule }) => resolvedModule) || isOfPackage(source.path)) incomplete.delete(source.path);
    else incomplete.add(source.path);
    return found;
  };
  host.hasInvalidatedResolutions = (path) => incomplete.has(path);
}

/** Many a package does without what it declares; what all cells know of it stays. */
function isOfPackage(path: string): boolean {
  return path.includes("/node_modules/");
}

/** Of the program that compiles all cells. */
export function createHost(
  typescript: Hookable,
  rootFiles: readonly string[],
  options: CompilerOptions,
  system: Timers,
  ...rest: unknown[]
): WatchHost {
  const host = typescript.createWatchCompilerHost(rootFiles, options, oneTimer(system), ...rest);
  lookAgain(host, typescript.resolveModuleName);
  return host;
}
