import { EventEmitter } from "events";
import { inspect } from "util";
import { type Displayable, type MimeBundle, jupyterDisplay, showLive } from "../display";
import type { StepSpec, TaskState } from "../engine/protocol";
import { InvalidArgumentError, LazyclusterError } from "../errors";
import { type PyDisplay, type PyKwargs, type Runnable, SpooledArguments } from "../python";
import { requirePath, requireVariables, show } from "../validate";
import { generateName } from "./name";
import { type ProcessHandle, TaskProcess } from "./process-handle";
import type { ExecuteOptions } from "./execute-options";
import { type CommandOptions, type FunctionOptions, runCommandStep, runFunctionStep } from "./steps";
import { type RunListeners, type TaskEvents, type TaskStep, runListeners } from "./task-events";
import { type OutputStream, printEntries } from "./task-log";
import type { Run } from "./run";
import { openRunLog } from "./shown-log";
import { showTask } from "./task-display";
import { type SyncOptions, type TransferOptions, getFileStep, sendFileStep, syncFolderStep } from "./transfer-steps";
import { watchFailure } from "./unnoticed";

/** What executes tasks: a bare connection, and `E` is what that gives, an Execution. */
export interface TaskExecutor<E> {
  executeTask(task: RuntimeTask, options?: ExecuteOptions): E;
}

/**
 * A composition of steps, run in order on one host. Compose it, hand it to `executeTask`, read it afterwards. It is no
 * promise. (Python: `RuntimeTask`.)
 *
 * @example
 * ```ts
 * const task = new RuntimeTask("clean")
 *   .sendFile("data.csv")
 *   .runCommand("wc -l data.csv")
 *   .getFile("out.csv");
 * await runtime.executeTask(task);
 * task.printLog();
 * ```
 */
export class RuntimeTask implements Displayable {
  readonly name: string;
  /** True: `join()` of task, runtime and group does not wait for it. (Python: `omit_on_join`.) */
  omitOnJoin = false;
  #variables: Record<string, string> = {};
  #steps: readonly StepSpec[] = [];
  #run: Run | null = null;
  #clones = 0;
  /** Arguments that are too large for memory. */
  #files: readonly SpooledArguments[] = [];
  readonly #events = new EventEmitter();

  /** @param name log files are named after it; default: a readable unique name. */
  constructor(name?: string) {
    this.name = name === undefined ? generateName() : requirePath(name, "The name of a task");
  }

  /**
   * Sends a file or folder. Of a folder, what its `.lazyignore` files name stays here. (Python: `send_file`.)
   *
   * @param localPath must exist now.
   * @param remotePath default: its name in the working directory. An existing folder receives a file under its own name;
   *   a folder is sent onto the path itself, and merged with a folder that is there.
   */
  sendFile(localPath: string, remotePath?: string, options?: TransferOptions): this {
    return this.addStep(() => sendFileStep(localPath, remotePath, options));
  }

  /**
   * Fetches a file or folder: of a folder everything, whatever its `.lazyignore` files name. To leave that there, use
   * `syncFolder` with `direction: "down"`. (Python: `get_file`.)
   *
   * @param localPath default: its name in the manager's current directory; it appears whole or not at all.
   */
  getFile(remotePath: string, localPath?: string, options?: TransferOptions): this {
    return this.addStep(() => getFileStep(remotePath, localPath, options));
  }

  /**
   * Makes a folder of the host like a local one, or the reverse: only what differs by size or time travels. What
   * the `.lazyignore` files of the side that it comes from name is left alone. Its log is a summary.
   *
   * @param localPath must exist now, unless it is fetched.
   * @param remotePath default: the local folder's name in the working directory; always the folder itself.
   * @example
   * ```ts
   * task.syncFolder("project", "work/project", { delete: true });
   * ```
   */
  syncFolder(localPath: string, remotePath?: string, options?: SyncOptions): this {
    return this.addStep(() => syncFolderStep(localPath, remotePath, options));
  }

  /** Runs a shell command (`$SHELL -c`) in the working directory; a non-zero exit fails the task unless `check` is false. (Python: `run_command`.) */
  runCommand(command: string, options?: CommandOptions): this {
    return this.addStep(() => runCommandStep(command, options));
  }

  /**
   * Runs a Python function on the host; its value is one of `functionReturns`. (Python: `run_function`.)
   *
   * @param kwargs its keyword arguments, sent as data.
   */
  runFunction(fn: Runnable, kwargs?: PyKwargs, options?: FunctionOptions): this {
    return this.addStep(() => runFunctionStep(fn, kwargs, options));
  }

  /** Environment of all steps; names and values are data. A Runtime's own variables come first, these win. (Python: `env_variables`.) */
  get envVariables(): Record<string, string> {
    return this.#variables;
  }

  set envVariables(variables: Record<string, string>) {
    this.#requireIdle();
    this.#variables = requireVariables(variables, "envVariables");
  }

  /** Starts it at once over a bare connection, in that connection's directory. Throws LazyclusterError when it runs already. (Python: `execute`.) */
  execute<E>(connection: TaskExecutor<E>, options?: ExecuteOptions): E {
    if (typeof (connection as Partial<TaskExecutor<E>> | null)?.executeTask !== "function") {
      throw new InvalidArgumentError(
        `execute takes a Connection, from Connection.open(host), not ${show(connection)}.`,
      );
    }
    return connection.executeTask(this, options);
  }

  /**
   * Waits for the current execution. Rejects its error, also when nobody awaited the Execution. (Python: `join`.)
   *
   * @param options.signal ends the waiting only.
   */
  async join(options?: { signal?: AbortSignal }): Promise<void> {
    if (!this.omitOnJoin) await this.#run?.join(options?.signal);
  }

  /** Ends the remote process group (SIGTERM, then SIGKILL); resolves when that is confirmed. No effect on a task that does not run. */
  async cancel(): Promise<void> {
    await this.#run?.cancel();
  }

  /** A new task of the same steps, variables and flags, named `name-1`, `name-2`…; nothing executed is copied. (Python: `deepcopy`.) */
  clone(): RuntimeTask {
    this.#clones += 1;
    const copy = new RuntimeTask(`${this.name}-${String(this.#clones)}`);
    for (const step of this.#steps) copy.addStep(() => step);
    copy.#variables = { ...this.#variables };
    copy.omitOnJoin = this.omitOnJoin;
    return copy;
  }

  /** Frees temporary resources (also done at exit); logs and values that were read stay. A task that runs is cancelled. */
  async cleanup(): Promise<void> {
    await this.cancel();
    for (const file of this.#files) file.release();
    this.#files = [];
    await this.#run?.discard();
  }

  /** One entry per started step, `""` where it printed nothing; grows while it runs; the last 1 MiB of a step after a note that says so. (Python: `execution_log`.) */
  get executionLog(): string[] {
    return this.#run?.entries ?? [];
  }

  /** The file with all output, a new one per execution; null before the first. (Python: `execution_log_file_path`.) */
  get executionLogFilePath(): string | null {
    return this.#run?.record.logFile ?? null;
  }

  /**
   * All output as raw bytes, live, until the execution ended.
   *
   * @param step index from 0; default: all.
   * @param stream default: both, in order of arrival.
   */
  openLog(step?: number, stream?: OutputStream): AsyncIterable<Buffer> {
    const run = this.#run;
    if (step !== undefined && (!Number.isInteger(step) || step < 0 || step >= this.#steps.length)) {
      throw new InvalidArgumentError(
        `openLog: there is no step ${show(step)}; the task has ${String(this.#steps.length)}.`,
      );
    }
    if (!([undefined, "stdout", "stderr"] as unknown[]).includes(stream)) {
      throw new InvalidArgumentError(`openLog: the stream is "stdout" or "stderr", not ${show(stream)}.`);
    }
    if (!run) throw new LazyclusterError(`Task ${JSON.stringify(this.name)} was not executed yet: it has no log.`);
    return openRunLog(run, { step: step ?? null, stream: stream ?? null });
  }

  /** Prints each log entry with its index; says so when there is none. (Python: `print_log`.) */
  printLog(): void {
    printEntries(this.name, this.host, this.executionLog);
  }

  /** A new generator at each access: all values from the first on, in step order, each as soon as its function ended. `next()` rejects TaskExecutionError. (Python: `function_returns`.) */
  get functionReturns(): AsyncGenerator<unknown, void, undefined> {
    return this.#run?.values() ?? neverExecuted(this.name);
  }

  /** All function values, in step order, after the end. Rejects like `join()`. */
  async returns(): Promise<unknown[]> {
    const run = this.#run;
    await run?.join();
    const values: unknown[] = [];
    for await (const value of run?.values() ?? neverExecuted(this.name)) values.push(value);
    return values;
  }

  /** What the cells of a session showed, such as plots, so far. */
  get displays(): readonly PyDisplay[] {
    return this.#run?.displays ?? [];
  }

  /** The host of the current or last execution; null before. */
  get host(): string | null {
    return this.#run?.record.host ?? null;
  }

  get state(): TaskState {
    return this.#run?.record.state ?? "new";
  }

  get startedAt(): Date | null {
    return this.#run ? new Date(this.#run.record.startedAt) : null;
  }

  /** [ms] so far, or in total once it ended; null before the first execution. */
  get durationMs(): number | null {
    if (!this.#run) return null;
    return this.#run.record.durationMs ?? Date.now() - this.#run.record.startedAt;
  }

  /** Why it failed, was cancelled or lost. */
  get error(): LazyclusterError | null {
    return this.#run?.error ?? null;
  }

  /** What it consists of, and how far each step came. */
  get steps(): readonly TaskStep[] {
    const records = this.#run?.record.steps;
    return this.#steps.map(({ kind, description }, index) => {
      const record = records?.[index];
      return {
        index,
        kind,
        description,
        state: record?.state ?? "new",
        exitCode: record?.exitCode ?? null,
        signal: record?.signal ?? null,
        durationMs: record?.durationMs ?? null,
      };
    });
  }

  /** Handle of the current or last execution; null before. (Python: `process`.) */
  get process(): ProcessHandle | null {
    return this.#run ? new TaskProcess(this.#run) : null;
  }

  on<K extends keyof TaskEvents>(event: K, listener: (data: TaskEvents[K]) => void): this {
    this.#events.on(event, listener);
    return this;
  }

  off<K extends keyof TaskEvents>(event: K, listener: (data: TaskEvents[K]) => void): this {
    this.#events.off(event, listener);
    return this;
  }

  [jupyterDisplay](): MimeBundle {
    return showTask(this, this.#run);
  }

  [inspect.custom](depth: number): string {
    const run = this.#run;
    const live =
      run && !run.ended ? { changed: () => run.nextChange(), ended: () => run.ended, settled: run.settled } : null;
    return showLive(depth, () => this[jupyterDisplay](), live);
  }

  /** @internal */
  addStep(make: () => StepSpec): this {
    this.#requireIdle();
    const step = make();
    this.#steps = Object.freeze([...this.#steps, step]);
    if (step.kind === "runFunction" && step.arguments instanceof SpooledArguments) {
      step.arguments.hold();
      this.#files = [...this.#files, step.arguments];
    }
    return this;
  }

  /** @internal The steps as the engine takes them. */
  get stepSpecs(): readonly StepSpec[] {
    return this.#steps;
  }

  /** @internal A task of steps that were made before. */
  static of(name: string, steps: readonly StepSpec[]): RuntimeTask {
    const task = new RuntimeTask(name);
    task.#steps = Object.freeze([...steps]);
    return task;
  }

  /**
   * @internal Asks whether it can be executed now, for who will hear of it. Throws LazyclusterError when it runs,
   * InvalidArgumentError when it has no steps.
   */
  prepare(debug: boolean): RunListeners {
    this.#requireIdle();
    if (this.#steps.length === 0) {
      throw new InvalidArgumentError(
        `Task ${JSON.stringify(this.name)} has no steps: add one, such as task.runCommand("hostname").`,
      );
    }
    return runListeners(this.name, this.#events, debug);
  }

  /** @internal From now on this is its execution. */
  began(run: Run, omitOnJoin: boolean | undefined): void {
    if (omitOnJoin !== undefined) this.omitOnJoin = omitOnJoin;
    this.#run = run;
    watchFailure(run);
  }

  #requireIdle(): void {
    if (this.state !== "running") return;
    throw new LazyclusterError(
      `Task ${JSON.stringify(this.name)} runs on ${this.host ?? ""}: it can be neither changed nor executed again before it ended. Use clone().`,
      { code: "ERR_TASK_RUNNING" },
    );
  }
}

async function* neverExecuted(name: string): AsyncGenerator<unknown, void, undefined> {
  await Promise.resolve();
  throw new LazyclusterError(`Task ${JSON.stringify(name)} was not executed yet: it has no function values.`);
}
