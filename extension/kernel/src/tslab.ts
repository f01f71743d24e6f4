import { createRequire } from "module";

/**
 * The parts of tslab that the kernel rests on. They are tslab's insides: no later version needs to keep them, so exactly
 * one version is accepted, and what is used of it is declared here and nowhere else.
 */
export const tslabVersion = "1.0.22";

export interface CompilerOptions {
  readonly paths?: Readonly<Record<string, readonly string[]>>;
  readonly typeRoots?: readonly string[];
}

/** tslab's fork of the TypeScript compiler. */
export interface TypeScript {
  createWatchCompilerHost(rootFiles: readonly string[], options: CompilerOptions, ...rest: unknown[]): unknown;
}

interface TslabMain {
  startKernel(options: {
    configPath: string;
    enableFindLocal: boolean;
    jsKernel: boolean;
    globalVersion: string;
  }): void;
}

interface TslabJupyter {
  readonly ZmqServer: { readonly prototype: TslabServer };
}

export interface TslabServer {
  /** Ends the executor and closes the sockets, after the reply to a shutdown request. */
  close: (this: TslabServer) => void;
}

const typescriptName = "@tslab/typescript-for-tslab";

/** The installed tslab. Its modules are loaded one by one, because some must be prepared before others load them. */
export class Tslab {
  readonly #require: NodeJS.Require;

  constructor() {
    const requireHere = createRequire(__filename);
    let manifest: string;
    try {
      manifest = requireHere.resolve("tslab/package.json");
    } catch (error) {
      throw new Error(`The kernel needs tslab ${tslabVersion}, which is not installed. Run \`npm install\`.`, {
        cause: error,
      });
    }
    this.#require = createRequire(manifest);
    const { version } = this.#require(manifest) as { version: string };
    if (version !== tslabVersion) {
      throw new Error(
        `The kernel needs tslab ${tslabVersion} exactly and found ${version}. Run \`npm install tslab@${tslabVersion} --save-exact\`.`,
      );
    }
  }

  loadTypeScript(): TypeScript {
    return this.#require(typescriptName) as TypeScript;
  }

  /** Gives another module to whoever requires tslab's TypeScript from now on. */
  replaceTypeScript(replacement: TypeScript): void {
    const cached = this.#require.cache[this.#require.resolve(typescriptName)];
    if (cached === undefined) throw new Error("tslab's TypeScript is replaced before it was loaded.");
    cached.exports = replacement;
  }

  loadJupyter(): TslabJupyter {
    return this.#require("./dist/jupyter") as TslabJupyter;
  }

  loadMain(): TslabMain {
    return this.#require("./dist/main") as TslabMain;
  }

  /** Path of a file of one of tslab's own dependencies, wherever npm has put it. */
  resolveDependency(request: string): string {
    return this.#require.resolve(request);
  }
}
