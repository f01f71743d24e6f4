/** The parts of a stock tslab kernel that runs in this process, found among the modules that it has loaded. */
import { readFileSync } from "fs";
import { join, sep } from "path";
import { type Executor, TSLAB_VERSION } from "../executor-parts";
import type { TypeScript } from "../source/typescript";

export interface StockSocket extends AsyncIterable<Buffer[]> {
  send(frames: readonly Uint8Array[]): Promise<void>;
}

interface StockHandler {
  readonly executor: Executor;
  execCount: number;
}

export interface StockServer {
  readonly handler: StockHandler;
  readonly connInfo: { readonly key: string };
  readonly shell: StockSocket;
  readonly control: StockSocket;
  readonly stdin: StockSocket;
  readonly iopub: StockSocket;
}

export interface StockModules {
  readonly typescript: TypeScript;
  readonly printQuickInfo: (info: unknown) => string;
  readonly jupyter: {
    lastWriteDisplayData: unknown;
    readonly ZmqServer: {
      readonly prototype: {
        handleShellMessage(this: StockServer, socket: StockSocket, ...frames: Buffer[]): Promise<void>;
      };
    };
  };
}

/** Null where no tslab runs. Throws Error for another version, or one that was changed. */
export function findStock(): StockModules | null {
  // Of the loader that loaded the kernel; the cells' own require shares it.
  const { cache } = require;
  const file = Object.keys(cache).find((name) => name.endsWith(join(`${sep}tslab`, "dist", "jupyter.js")));
  if (file === undefined) return null;
  const folder = join(file, "..", "..");
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string };
  if (version !== TSLAB_VERSION) {
    throw new Error(`enableTslab knows tslab ${TSLAB_VERSION}, and this kernel is tslab ${version}.`);
  }
  const exportsOf = (name: string): Record<string, unknown> => {
    const found = cache[join(folder, "dist", `${name}.js`)]?.exports as Record<string, unknown> | undefined;
    if (!found) throw new Error(`enableTslab found a tslab ${version} without its ${name}.`);
    return found;
  };
  const typescript = Object.keys(cache).find((name) => /typescript-for-tslab[\\/]lib[\\/]typescript\.js$/.test(name));
  const modules = {
    typescript: typescript === undefined ? undefined : (cache[typescript]?.exports as unknown),
    printQuickInfo: exportsOf("inspect")["printQuickInfo"],
    jupyter: exportsOf("jupyter"),
  };
  const { ZmqServer } = modules.jupyter as Partial<StockModules["jupyter"]>;
  if (
    !modules.typescript ||
    typeof modules.printQuickInfo !== "function" ||
    typeof ZmqServer?.prototype.handleShellMessage !== "function"
  ) {
    throw new Error(`enableTslab found a tslab ${version} that is not the published one.`);
  }
  return modules as unknown as StockModules;
}
