import { EventEmitter } from "events";
import { inspect } from "util";
import { type Displayable, type MimeBundle, formatBytes, jupyterDisplay, showLive, taskBundle } from "../display";
import { engineClient } from "../engine/client";
import { IndexReader, readRuns } from "../engine/journal";
import type { ExecutionSpec, StepKind, StepSpec, TaskState } from "../engine/protocol";
import { Environment } from "../environment";
import { InvalidArgumentError, LazyclusterError } from "../errors";
import type { PyKwargs, Runnable } from "../python";
import { requirePath, requireVariables, show } from "../validate";
import type { Execution } from "./execution";
import { shortPath } from "./log-path";
import { generateName } from "./name";
import { type ProcessHandle, TaskProcess } from "./process-handle";
import { type ExecuteOptions, startExecution } from "./start";
import {
  type CommandOptions,
  type FunctionOptions,
  getFileStep,
  runCommandStep,
  runFunctionStep,
  sendFileStep,
} from "./steps";
import type { ExecutionTarget } from "./target";
import { type OutputStream, printEntries } from "./task-log";
import { type RunEvents, TaskRun } from "./task-run";
import { watchFailure } from "./unnoticed";

/** What a task consists of, and how far each step came. */
export interface TaskStep {
  readonly index: number;
  readonly kind: StepKind;
  /** One line for people. */
  readonly description: string;
  readonly state: TaskState;
  /** Of a command that ended by itself. */
  readonly exitCode: number | null;
  /** The signal that ended it, such as `SIGKILL`. */
  readonly signal: string | null;
  /** [ms] */
  readonly durationMs: number | null;
}

export interface TaskEvents {
  /** A transfer moved on; totals are null while unknown. Sizes in [bytes]. */
  progress: { step: number; bytes: number; totalBytes: number | null; files: number; totalFiles: number | null };
  /** Output as it arrives. */
  output: { step: number; stream: OutputStream; data: Buffer };
  /** A step started or ended. */
  step: TaskStep;
  /** The execution settled; once per execution. */
  end: { state: TaskState; error: LazyclusterError | null };
}

/** [bytes] of output that the table in a notebook shows. */
const SHOWN_OUTPUT = 2000;

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
  #run: TaskRun | null = null;
  #clones = 0;
  readonly #events = new EventEmitter();

  /** @param name log files are named after it; default: a readable unique name. */
  constructor(name?: string) {
    this.name = name === undefined ? generateName() : requirePath(name, "The name of a task");
  }

  /**
   * Sends a file or folder. (Python: `send_file`.)
   *
   * @param localPath must exist now.
   * @param remotePath default: its name in the working directory. An existing folder receives a file under its own name;
   *   a folder is sent onto the path itself, and merged with a folder that is there.
   */
  sendFile(localPath: string, remotePath?: string): this {
    return this.#add(() => sendFileStep(localPath, remotePath));
  }

  /**
   * Fetches a file or folder. (Python: `get_file`.)
   *
   * @param localPath default: its name in the manager's current directory; it appears whole or not at all.
   */
  getFile(remotePath: string, localPath?: string): this {
    return this.#add(() => getFileStep(remotePath, localPath));
  }

  /** Runs a shell command (`$SHELL -c`) in the working directory; a non-zero exit fails the task unless `check` is false. (Python: `run_command`.) */
  runCommand(command: string, options?: CommandOptions): this {
    return this.#add(() => runCommandStep(command, options));
  }

  /**
   * Runs a Python function on the host; its value is one of `functionReturns`. (Python: `run_function`.)
   *
   * @param kwargs its keyword arguments, sent as data.
   */
  runFunction(fn: Runnable, kwargs?: PyKwargs, options?: FunctionOptions): this {
    return this.#add(() => runFunctionStep(fn, kwargs, options));
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
  execute(connection: ExecutionTarget, options?: ExecuteOptions): Execution {
    if (typeof (connection as Partial<ExecutionTarget> | null)?.ownerSpec !== "function") {
      throw new InvalidArgumentError(
        `execute takes a Connection, from Connection.open(host), not ${show(connection)}.`,
      );
    }
    return startExecution(this, connection, options, "execute").execution;
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
    copy.#steps = this.#steps;
    copy.#variables = { ...this.#variables };
    copy.omitOnJoin = this.omitOnJoin;
    return copy;
  }

  /** Frees temporary resources (also done at exit); logs and values that were read stay. A task that runs is cancelled. */
  async cleanup(): Promise<void> {
    await this.cancel();
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
    const selection = { step: step ?? null, stream: stream ?? null };
    return (async function* () {
      const index = new IndexReader(run.record.logFile);
      for (;;) {
        const { changes, ended } = run;
        yield* readRuns(run.record.logFile, index.read(), selection);
        if (ended || index.ended) return;
        // More may have come while the reader was busy with the last piece.
        await run.nextChange(changes);
      }
    })();
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
    const run = this.#run;
    return taskBundle({
      name: this.name,
      host: this.host,
      state: this.state,
      durationMs: this.durationMs,
      steps: this.steps.map((step) => ({ ...step, progress: describeProgress(run, step.index) })),
      output: run ? run.log.tail(null, SHOWN_OUTPUT) : "",
      error: this.error?.message ?? null,
      logFile: this.executionLogFilePath === null ? null : shortPath(this.executionLogFilePath),
    });
  }

  [inspect.custom](depth: number): string {
    const run = this.#run;
    const live =
      run && !run.ended ? { changed: () => run.nextChange(), ended: () => run.ended, settled: run.settled } : null;
    return showLive(depth, () => this[jupyterDisplay](), live);
  }

  /** @internal The steps as the engine takes them. */
  get stepSpecs(): readonly StepSpec[] {
    return this.#steps;
  }

  /** @internal Makes a new execution of it. Throws LazyclusterError when it runs, InvalidArgumentError when it has no steps. */
  begin(spec: ExecutionSpec, options: { debug: boolean; omitOnJoin: boolean | undefined }): TaskRun {
    this.#requireIdle();
    if (this.#steps.length === 0) {
      throw new InvalidArgumentError(
        `Task ${JSON.stringify(this.name)} has no steps: add one, such as task.runCommand("hostname").`,
      );
    }
    if (options.omitOnJoin !== undefined) this.omitOnJoin = options.omitOnJoin;
    const wantsOutput = (): boolean => options.debug || this.#events.listenerCount("output") > 0;
    const emit = <K extends keyof RunEvents>(event: K, data: RunEvents[K]): void => {
      if (options.debug && event === "output") process.stdout.write((data as RunEvents["output"]).data);
      try {
        this.#events.emit(event, data);
      } catch (error) {
        // A fault of the user's listener must not touch the execution.
        Environment.logger.error(`a listener of task ${JSON.stringify(this.name)} threw: ${inspect(error)}`);
      }
    };
    const run = new TaskRun(this, spec, engineClient(), emit, wantsOutput);
    this.#run = run;
    watchFailure(run);
    return run;
  }

  #add(make: () => StepSpec): this {
    this.#requireIdle();
    this.#steps = Object.freeze([...this.#steps, make()]);
    return this;
  }

  #requireIdle(): void {
    if (this.state !== "running") return;
    throw new LazyclusterError(
      `Task ${JSON.stringify(this.name)} runs on ${this.host ?? ""}: it can be neither changed nor executed again before it ended. Use clone().`,
      { code: "ERR_TASK_RUNNING" },
    );
  }
}

function describeProgress(run: TaskRun | null, step: number): string {
  const progress = run?.progress.get(step);
  if (!progress) return "";
  const total = progress.totalBytes === null ? "" : ` of ${formatBytes(progress.totalBytes)}`;
  return `${formatBytes(progress.bytes)}${total}`;
}

async function* neverExecuted(name: string): AsyncGenerator<unknown, void, undefined> {
  await Promise.resolve();
  throw new LazyclusterError(`Task ${JSON.stringify(name)} was not executed yet: it has no function values.`);
}
