import {
  type RuntimeTask as Task,
  type CellOptions,
  EXECUTE_OPTIONS,
  type ExecuteOptions,
  type Execution,
  FUNCTION_OPTIONS,
  type FunctionOptions,
  RuntimeTask,
  cellStep,
  requireInterpreter,
  runFunctionStep,
} from "../task";
import type { OwnerSpec, SessionProcess } from "../engine/protocol";
import { InvalidArgumentError, LazyclusterError } from "../errors";
import type { PyFunction, PyHandle, PyKwargs } from "../python";
import { requireOptions, requireText, show } from "../validate";
import { callEngine } from "./engine-call";

export interface SessionOptions {
  /** Interpreter, as in FunctionOptions; default: the Runtime's. */
  python?: string;
}

/** `new`: no process yet, or none any more; `idle`: it waits; `busy`: a call runs or waits; `closed`: by `close()`. */
export type SessionState = "new" | "idle" | "busy" | "closed";

/** What a session needs of its Runtime. */
interface SessionRuntime {
  readonly host: string;
  executeTask(task: Task, options?: ExecuteOptions): Execution;
  ownerSpec(): OwnerSpec;
}

interface Running {
  readonly task: Task;
  readonly process: number;
}

const sessions = new WeakMap<SessionRuntime, Map<string, Session>>();

/** The session of this name; there is one. Throws InvalidArgumentError. */
export function sessionOf(runtime: SessionRuntime, name: string, options: SessionOptions | undefined): Session {
  requireText(name, "session: the name");
  const given = requireOptions(options, ["python"], "session");
  const python = given["python"] === undefined ? null : requireInterpreter(given["python"], "session: python");
  const known = sessions.get(runtime) ?? new Map<string, Session>();
  sessions.set(runtime, known);
  const session = known.get(name);
  if (session && session.state !== "closed") {
    if (python === null || python === session.python) return session;
    throw new InvalidArgumentError(
      `${runtime.host}: the session ${show(name)} runs ${show(session.python ?? "the Runtime's python")}; close() it first, or choose another name.`,
    );
  }
  const created = new Session(runtime, name, python, session?.lastProcess ?? 0);
  known.set(name, created);
  return created;
}

/**
 * A Python process on a host in which variables persist between calls, like the kernel of a notebook. It starts with its first call, and
 * ends with `close()`, with the Runtime's `close()`, or with the connection. Calls run one after the other; each is a task, with its log.
 *
 * @example
 * ```ts
 * const session = runtime.session("main", { python: ".venv" });
 * await session.run("import pandas\nframe = pandas.read_csv('orders.csv')");
 * const task = await session.run("frame.describe()");
 * const [summary] = await task.returns();
 * await session.close();
 * ```
 */
export class Session {
  readonly #runtime: SessionRuntime;
  readonly #python: string | null;
  /** Calls that have not been seen to end. */
  readonly #running = new Set<Running>();
  /** How many processes of it have begun, or would with the next call: calls are for the last one. */
  #count: number;
  /** Whose process it is: a Runtime has a new owner after each `close()`. Null: there is none. */
  #process: string | null = null;
  #closed = false;
  #cells = 0;

  /** @internal They come from `runtime.session(name)`. */
  constructor(
    runtime: SessionRuntime,
    readonly name: string,
    python: string | null,
    before: number,
  ) {
    this.#runtime = runtime;
    this.#python = python;
    this.#count = before + 1;
  }

  /** @internal Whoever gets its name goes on from there: a late call for it must not run in a process of the next one. */
  get lastProcess(): number {
    return this.#count;
  }

  get host(): string {
    return this.#runtime.host;
  }

  /** @internal */
  get python(): string | null {
    return this.#python;
  }

  get state(): SessionState {
    if (this.#closed) return "closed";
    if (this.#running.size > 0) return "busy";
    return this.#process === this.#owner ? "idle" : "new";
  }

  /**
   * Runs code as a notebook runs a cell: the value of its last expression is the value of the task, what it prints is the task's log, and what it
   * shows (`display(…)`, matplotlib's figures) is in `task.displays`.
   */
  run(code: string, options?: CellOptions & ExecuteOptions): Execution {
    const given = requireOptions(options, ["timeoutMs", "file", "result", ...EXECUTE_OPTIONS], "run");
    const file = `<cell ${String(this.#cells + 1)}>`;
    const step = cellStep(code, this.#meant(), pick(given, ["timeoutMs", "file", "result"]), file);
    this.#cells += 1;
    return this.#execute(step, `${this.name}-cell-${String(this.#cells)}`, pick(given, EXECUTE_OPTIONS));
  }

  /** Calls a function there; source is run among the session's variables. */
  call(
    fn: PyFunction | PyHandle,
    kwargs?: PyKwargs,
    options?: Omit<FunctionOptions, "python"> & ExecuteOptions,
  ): Execution {
    const keys = FUNCTION_OPTIONS.filter((key) => key !== "python");
    const given = requireOptions(options, [...keys, ...EXECUTE_OPTIONS], "call");
    const step = runFunctionStep(fn, kwargs, pick(given, keys), this.#meant());
    return this.#execute(step, `${this.name}-call`, pick(given, EXECUTE_OPTIONS));
  }

  /** As Ctrl-C: what runs now raises KeyboardInterrupt, and variables stay. False when nothing ran. */
  async interrupt(): Promise<boolean> {
    return callEngine("interruptSession", { owner: this.#owner, session: this.#meant() });
  }

  /** Ends the process; the next call starts a new, empty one. What runs fails. */
  async restart(): Promise<void> {
    this.#requireOpen();
    await this.#end();
  }

  /** Ends the process, and all that it started. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#end();
  }

  get #owner(): string {
    return this.#runtime.ownerSpec().id;
  }

  async #end(): Promise<void> {
    const session = this.#meant();
    this.#next();
    await callEngine("endSession", { owner: this.#owner, session });
  }

  #execute(step: ReturnType<typeof cellStep>, name: string, options: ExecuteOptions): Execution {
    this.#requireOpen();
    const withPython = step.kind === "runFunction" ? Object.freeze({ ...step, python: this.#python }) : step;
    const task = new RuntimeTask(name).addStep(() => withPython);
    const execution = this.#runtime.executeTask(task, options);
    const running = { task, process: step.kind === "runFunction" ? (step.session?.process ?? 0) : 0 };
    this.#process = this.#owner;
    this.#running.add(running);
    void execution.process.join().then(() => {
      this.#look();
      this.#running.delete(running);
    });
    return execution;
  }

  /** The process that a call is for which is made now. */
  #meant(): SessionProcess {
    // Whoever calls may have seen an end before we did.
    this.#look();
    return { name: this.name, process: this.#count };
  }

  #look(): void {
    for (const { task, process } of this.#running) {
      if (task.error && isLost(task.error) && process === this.#count) this.#next();
    }
  }

  #next(): void {
    this.#count += 1;
    this.#process = null;
  }

  #requireOpen(): void {
    if (!this.#closed) return;
    throw new LazyclusterError(
      `${this.host}: the session ${show(this.name)} was closed. runtime.session(${show(this.name)}) makes a new one.`,
      { host: this.host },
    );
  }
}

/** The process is gone. */
function isLost(error: LazyclusterError): boolean {
  return (
    error.sessionLost ||
    error.code === "ERR_TASK_LOST" ||
    (error.cause instanceof LazyclusterError && error.cause.sessionLost)
  );
}

function pick<K extends string>(given: Readonly<Record<string, unknown>>, keys: readonly K[]): Record<K, never> {
  const entries = keys.filter((key) => given[key] !== undefined).map((key) => [key, given[key]]);
  return Object.fromEntries(entries) as Record<K, never>;
}
