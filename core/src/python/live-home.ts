import type { HandleRef, SessionProcess } from "../engine/protocol";
import { LazyclusterError } from "../errors";
import { type HandleHome, type PyHandle, label } from "./handle";

/** A kept process of Python, from its start to its end. */
export interface LivingProcess {
  readonly host: string;
  readonly agent: string;
  readonly scope: string;
  readonly session: SessionProcess;
  readonly alive: boolean;
  /** Modules that are pickled with its objects. */
  readonly modules: readonly string[];
  value(handle: PyHandle): Promise<unknown>;
  forget(id: number): void;
}

/** An object of a process. It goes with that. */
export class LiveHome implements HandleHome {
  constructor(
    private readonly process: LivingProcess,
    private readonly id: number,
    private readonly parts: { readonly repr: string; readonly type: string },
    private readonly python: string,
  ) {}

  ref(): HandleRef {
    this.requireAlive();
    const { agent, host, scope, session, modules } = this.process;
    const { id, python } = this;
    return { kind: "live", agent, host, label: label(this.parts), python, scope, session, id, modules: [...modules] };
  }

  idFor(destination: object | null): number | null {
    this.requireAlive();
    return destination === this.process ? this.id : null;
  }

  load(handle: PyHandle): Promise<unknown> {
    return this.process.value(handle);
  }

  free(): Promise<void> {
    if (this.process.alive) this.process.forget(this.id);
    return Promise.resolve();
  }

  private requireAlive(): void {
    if (this.process.alive) return;
    throw new LazyclusterError(`${label(this.parts)} is gone: the bridge that had it ended. Make it again.`, {
      code: "ERR_PYTHON",
      host: this.process.host,
    });
  }
}
