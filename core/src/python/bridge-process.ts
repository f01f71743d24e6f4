/** One life of the bridge: its process, from its first call to its end. */
import { engineClient } from "../engine/client";
import {
  EngineFailure,
  type FunctionSpec,
  type OwnerSpec,
  type ResultForm,
  type SessionProcess,
} from "../engine/protocol";
import { LazyclusterError, errorFromFailure } from "../errors";
import { type ComposedCall, composeSpec } from "./compose";
import type { PyHandle } from "./handle";
import { originOf } from "./kept-home";
import { LiveHome, type LivingProcess } from "./live-home";
import { sendQuietly } from "./quiet-call";

/** [ms] for which freed objects are collected before the bridge is told. */
const FORGET_MS = 50;
/** Each life has an owner of its own. */
const SESSION: SessionProcess = { name: "bridge", process: 1 };

export class BridgeProcess implements LivingProcess {
  readonly host: string;
  readonly session = SESSION;
  /** Modules that are pickled with its objects. */
  readonly modules: string[] = [];
  #agent: string | null = null;
  #alive = true;
  #forgotten: number[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly owner: OwnerSpec,
    /** It has ended, for this reason, or by `end()`. */
    private readonly ended: () => void,
  ) {
    this.host = owner.host.host;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get scope(): string {
    return this.owner.id;
  }

  /** Known with the first answer, and nobody has an object of it before. */
  get agent(): string {
    return this.#agent ?? "";
  }

  /** Rejects LazyclusterError. */
  async call(call: ComposedCall, result: ResultForm): Promise<unknown> {
    const request = {
      owner: this.owner,
      agent: this.#agent,
      session: SESSION,
      result,
      modules: [...this.modules],
      output: print,
      origin: (agent: string) => {
        this.#agent ??= agent;
        return {
          ...originOf(this.owner, agent, true),
          live: (id: number, parts: { repr: string; type: string }, python: string) =>
            new LiveHome(this, id, parts, python),
        };
      },
    };
    try {
      return await sendQuietly(request, call);
    } catch (error) {
      throw this.explain(error);
    }
  }

  ship(module: string): void {
    if (!this.modules.includes(module)) this.modules.push(module);
  }

  spec(fn: FunctionSpec, args: readonly PyHandle[] = []): ComposedCall {
    return composeSpec(fn, args, {}, "the argument", this);
  }

  value(handle: PyHandle): Promise<unknown> {
    return this.call(this.spec({ kind: "value" }, [handle]), "data");
  }

  /** Many at once. */
  forget(id: number): void {
    this.#forgotten.push(id);
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const ids = this.#forgotten;
      this.#forgotten = [];
      if (!this.#alive) return;
      const call = composeSpec({ kind: "forget" }, ids, {}, "the ids", this);
      this.call(call, "data").catch(() => undefined);
    }, FORGET_MS).unref();
  }

  /** Ends it, and all that it started. */
  async end(): Promise<void> {
    this.#over();
    await engineClient().requestQuietly("release", { owner: this.owner.id });
  }

  #over(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.ended();
  }

  private explain(error: unknown): unknown {
    if (!(error instanceof EngineFailure)) return error;
    const failure = error.data;
    const below = errorFromFailure(failure);
    if (failure.code === "ERR_INVALID_RUNTIME") {
      this.#over();
      return new LazyclusterError(
        `The bridge, a Python of the manager, could not start: ${failure.message} LAZYCLUSTER_PYTHON names its interpreter.`,
        { code: "ERR_PYTHON", host: this.host, cause: below },
      );
    }
    const lost = failure.sessionLost === true || failure.code === "ERR_CONNECTION";
    if (!lost) return below;
    this.#over();
    // Its connection too, which may have other processes of it.
    void engineClient().requestQuietly("release", { owner: this.owner.id });
    return new LazyclusterError(
      `The bridge (${this.owner.host.python}) ended, and its objects are gone; the next call starts a new one. ${failure.message}`,
      { code: "ERR_PYTHON", host: this.host, cause: below },
    );
  }
}

function print(stream: "stdout" | "stderr", data: Uint8Array): void {
  process[stream].write(data);
}
