/** What tslab's compiler must do otherwise; to be prepared before tslab loads its converter. */
import { existsSync } from "fs";
import { dirname } from "path";
import { libraryPaths } from "./resolve";
import type { Tslab } from "./tslab";
import type { CompilerOptions, Hookable } from "./typescript";
import { createHost } from "./watching";

/** What the compiler puts at the end of its output when it makes a source map. */
const MAP_COMMENT = /\n?\/\/# sourceMappingURL=(?:data:application\/json;base64,([\w+/=]+)|\S*)\s*$/;
/** Outputs whose maps are kept until somebody asks: a cell and the modules that it brings along. */
const KEPT = 32;

export class Compiler {
  private readonly maps = new Map<string, readonly string[]>();

  constructor(
    private readonly tslab: Tslab,
    private readonly library: string,
  ) {}

  /** From now on tslab's compiler knows the library, and top-level `await` wherever the language has it. */
  prepare(): void {
    const typescript = this.tslab.loadTypeScript();
    // Its exports are getters that cannot be changed; a copy of their values can.
    const replacement: Hookable = { ...typescript };
    replacement.createWatchCompilerHost = (rootFiles, options, ...rest) =>
      createHost(typescript, rootFiles, this.options(options), ...rest);
    replacement.transpileModule = (input, options) => this.transpile(typescript, input, options);
    this.tslab.replaceTypeScript(replacement);
  }

  /** The source maps of an output, from the first pass to the last. */
  mapsOf(output: string): readonly string[] {
    return this.maps.get(output) ?? [];
  }

  private options(options: CompilerOptions): CompilerOptions {
    // The directory that holds `node`, wherever npm has put it. tslab looks for it in its own node_modules only, where it
    // is not once npm has hoisted it; then not even `console` is found.
    const nodeTypes = dirname(dirname(this.tslab.resolveDependency("@types/node/package.json")));
    return {
      ...options,
      paths: { ...options.paths, ...libraryPaths(this.library) },
      typeRoots: [...(options.typeRoots ?? []).filter((directory) => existsSync(directory)), nodeTypes],
      // tslab's own way takes `await (x)` for the call of a function.
      disableTopLevelAwait: false,
      inlineSourceMap: true,
    };
  }

  private transpile(
    typescript: Hookable,
    input: string,
    options: Parameters<Hookable["transpileModule"]>[1],
  ): ReturnType<Hookable["transpileModule"]> {
    const first = MAP_COMMENT.exec(input)?.[1];
    const compilerOptions = { ...options.compilerOptions, sourceMap: true };
    const result = typescript.transpileModule(input.replace(MAP_COMMENT, "\n"), { ...options, compilerOptions });
    const outputText = result.outputText.replace(MAP_COMMENT, "\n");
    const decoded = first === undefined ? [] : [Buffer.from(first, "base64").toString("utf8")];
    this.keep(outputText, [...decoded, ...(result.sourceMapText === undefined ? [] : [result.sourceMapText])]);
    return { ...result, outputText };
  }

  private keep(output: string, maps: readonly string[]): void {
    this.maps.delete(output);
    this.maps.set(output, maps);
    const oldest = this.maps.keys().next();
    if (this.maps.size > KEPT && oldest.value !== undefined) this.maps.delete(oldest.value);
  }
}
