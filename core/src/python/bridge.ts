/** The manager's own Python. */
import { randomUUID } from "crypto";
import type { OwnerSpec } from "../engine/protocol";
import { InvalidArgumentError } from "../errors";
import { requireText, show } from "../validate";
import { BridgeProcess } from "./bridge-process";
import { bridgePython } from "./bridge-python";
import { composeCall } from "./compose";
import type { PyHandle } from "./handle";
import { type PyFunction, PySource } from "./source";
import type { PyKwargs, PyValue } from "./values";

const LEASE_MS = 60_000;

/**
 * The manager's own Python, started on first need: `LAZYCLUSTER_PYTHON`, else the `.venv` of the working directory or of one above it,
 * else `python3`. Functions and objects that it holds travel by cloudpickle: only to the same minor version, else PythonVersionError.
 * What it prints goes to this process's stdout and stderr.
 *
 * @example
 * ```ts
 * const { Model } = await bridge.define(`
 * class Model:
 *     def __init__(self, factor):
 *         self.factor = factor
 *     def predict(self, x):
 *         return self.factor * x
 * `);
 * const model = await bridge.call(Model, [3]);
 * const [y] = await (await runtime.executeFunction(py`def use(model, x): return model.predict(x)`, { model, x: 14 })).returns();
 * ```
 */
export interface Bridge {
  /** Runs source there; a handle per name without a leading `_` that it binds. Rejects LazyclusterError `ERR_PYTHON`. */
  define(source: string | PyFunction): Promise<Record<string, PyHandle>>;
  /** Value of a call there; a handle where it is not data. */
  call(fn: PyFunction | PyHandle, args?: readonly PyValue[], kwargs?: PyKwargs): Promise<unknown>;
  /** Value of an expression there, or of the last one of several lines; a handle where it is not data. */
  eval(expression: string): Promise<unknown>;
  /**
   * From now on functions and objects take this module with them, by value: one that the hosts do not have, such as a file beside the
   * notebook. Until the bridge ends. Rejects LazyclusterError `ERR_PYTHON` when it cannot be imported there.
   */
  shipModule(module: string): Promise<void>;
  /** Ends it; its handles die. The next call starts a new one. */
  close(): Promise<void>;
}

class ManagerBridge implements Bridge {
  #process: BridgeProcess | null = null;

  async define(source: string | PyFunction): Promise<Record<string, PyHandle>> {
    const process = this.#start();
    const { text, file } = await this.#source(source, process);
    const names = await process.call(process.spec({ kind: "define", source: text, file }), "ref");
    return names as Record<string, PyHandle>;
  }

  async call(fn: PyFunction | PyHandle, args: readonly PyValue[] = [], kwargs: PyKwargs = {}): Promise<unknown> {
    if (!Array.isArray(args)) throw new InvalidArgumentError(`bridge.call: args must be a list, not ${show(args)}.`);
    const process = this.#start();
    return process.call(composeCall(fn, args, kwargs, "bridge.call", process), "ref");
  }

  async eval(expression: string): Promise<unknown> {
    const source = requireText(expression, "bridge.eval: the expression");
    const process = this.#start();
    const cell = await process.call(process.spec({ kind: "cell", source, file: "<bridge>" }), "ref");
    return (cell as { readonly value: unknown }).value;
  }

  async shipModule(module: string): Promise<void> {
    const name = requireText(module, "shipModule: the module");
    if (!/^[\p{L}_][\p{L}\p{N}_]*(\.[\p{L}_][\p{L}\p{N}_]*)*$/u.test(name)) {
      throw new InvalidArgumentError(`shipModule takes a dotted name such as "helpers", not ${show(module)}.`);
    }
    const process = this.#start();
    await process.call(composeCall(IMPORT, [name], {}, "shipModule", process), "data");
    process.ship(name);
  }

  async close(): Promise<void> {
    await this.#process?.end();
  }

  #start(): BridgeProcess {
    if (this.#process) return this.#process;
    const process: BridgeProcess = new BridgeProcess(ownerOf(bridgePython()), () => {
      if (this.#process === process) this.#process = null;
    });
    this.#process = process;
    return process;
  }

  async #source(source: string | PyFunction, process: BridgeProcess): Promise<{ text: string; file: string }> {
    if (typeof source === "string") {
      return { text: requireText(source, "bridge.define: the source"), file: "<bridge>" };
    }
    if (!(source instanceof PySource) || source.spec.kind !== "source") {
      throw new InvalidArgumentError(
        `bridge.define takes Python source: a text, py\`…\` or pyFile(…), not ${show(source)}.`,
      );
    }
    const { spec, bound } = source;
    if (spec.bind.length > 0) {
      // Values of a template become names there, as they do where a function runs.
      const nothing = new PySource({ ...spec, source: `def ${NOTHING}(): pass`, name: NOTHING }, bound);
      await process.call(composeCall(nothing, [], {}, "bridge.define", process), "data");
    }
    return { text: spec.source, file: spec.file };
  }
}

const NOTHING = "_lazycluster_nothing";
const IMPORT = new PySource({
  kind: "source",
  source: "def _lazycluster_import(name):\n    __import__(name)\n",
  name: "_lazycluster_import",
  file: "<bridge>",
  bind: [],
});

/** It works where the manager does. */
function ownerOf(python: string): OwnerSpec {
  return {
    id: `bridge-${randomUUID()}`,
    host: {
      host: "localhost",
      transport: "local",
      connection: {},
      promptId: null,
      python,
      loginEnv: false,
      leaseMs: LEASE_MS,
      sshConfigFile: null,
      traceProtocol: false,
    },
    workingDir: { kind: "asIs", path: process.cwd() },
  };
}

export const bridge: Bridge = new ManagerBridge();
