import { createRequire } from "module";
import {
  type ConverterSet,
  type Converter,
  type Executor,
  type ExecutorConsole,
  TSLAB_VERSION,
  type TypeScript,
} from "lazycluster/notebook";
import type { Hookable } from "./typescript";

/**
 * The parts of tslab that the kernel rests on. They are tslab's insides: no later version needs to keep them, so exactly
 * one version is accepted, and what is used of it is declared here and nowhere else.
 */
const typescriptName = "@tslab/typescript-for-tslab";
const typescriptVersion = "5.0.4";

interface Modules {
  readonly converter: { createConverter(options: { isJS: boolean; isBrowser: boolean }): Converter };
  readonly executor: { createExecutor(rootDir: string, converters: ConverterSet, console: ExecutorConsole): Executor };
  readonly inspect: { printQuickInfo(info: unknown): string };
  /** Where cells that use tslab's own display find the place to write to. */
  readonly jupyter: { lastWriteDisplayData: unknown };
}

/** What is used of each module. */
const used: Readonly<Record<keyof Modules, readonly string[]>> = {
  converter: ["createConverter"],
  executor: ["createExecutor"],
  inspect: ["printQuickInfo"],
  jupyter: ["lastWriteDisplayData"],
};

/** The installed tslab. Its modules are loaded one by one, because some must be prepared before others load them. */
export class Tslab {
  readonly #require: NodeJS.Require;

  constructor() {
    const requireHere = createRequire(__filename);
    let manifest: string;
    try {
      manifest = requireHere.resolve("tslab/package.json");
    } catch (error) {
      throw new Error(`The kernel needs tslab ${TSLAB_VERSION}, which is not installed. Run \`npm install\`.`, {
        cause: error,
      });
    }
    this.#require = createRequire(manifest);
    this.#check(manifest, "tslab", TSLAB_VERSION);
    this.#check(this.#require.resolve(`${typescriptName}/package.json`), typescriptName, typescriptVersion);
  }

  get typescriptVersion(): string {
    return typescriptVersion;
  }

  loadTypeScript(): TypeScript & Hookable {
    return this.#require(typescriptName) as TypeScript & Hookable;
  }

  /** Gives another module to whoever requires tslab's TypeScript from now on. */
  replaceTypeScript(replacement: Hookable): void {
    const cached = this.#require.cache[this.#require.resolve(typescriptName)];
    if (cached === undefined) throw new Error("tslab's TypeScript is replaced before it was loaded.");
    cached.exports = replacement;
  }

  load<Name extends keyof Modules>(name: Name): Modules[Name] {
    const module = this.#require(`./dist/${name}`) as Partial<Modules[Name]>;
    const missing = used[name].filter((member) => !(member in module));
    if (missing.length > 0) {
      throw new Error(
        `tslab's ${name} has no ${missing.join(", ")}: this is no tslab ${TSLAB_VERSION}. Run \`npm ci\`.`,
      );
    }
    return module as Modules[Name];
  }

  /** Path of a file of one of tslab's own dependencies, wherever npm has put it. */
  resolveDependency(request: string): string {
    return this.#require.resolve(request);
  }

  #check(manifest: string, name: string, wanted: string): void {
    const { version } = this.#require(manifest) as { version: string };
    if (version === wanted) return;
    throw new Error(
      `The kernel needs ${name} ${wanted} exactly and found ${version}. Run \`npm install tslab@${TSLAB_VERSION} --save-exact\`.`,
    );
  }
}
