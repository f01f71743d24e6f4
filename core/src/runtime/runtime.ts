import { randomUUID } from "crypto";
import { inspect } from "util";
import { type Displayable, type MimeBundle, columns, escapeHtml, jupyterDisplay, showLive } from "../display";
import { engineClient } from "../engine/client";
import type { HostSpec, OwnerSpec, WorkingDirSpec } from "../engine/protocol";
import { GroupError, type HostResult, InvalidArgumentError, LazyclusterError } from "../errors";
import type { PyKwargs, Runnable } from "../python";
import {
  EXECUTE_OPTIONS,
  FUNCTION_OPTIONS,
  type ExecuteOptions,
  type Execution,
  type ExecutionTarget,
  type FunctionOptions,
  type ProcessHandle,
  RuntimeTask,
  TaskProcess,
  type TaskRun,
  isPortKey,
  isTaskKey,
  printEntries,
  startExecution,
} from "../task";
import { requireOptions, requirePath, requireText, requireVariables, show } from "../validate";
import { callEngine } from "./engine-call";
import { type RuntimeOptions, checkHost, checkRuntimeOptions } from "./host-options";
import { type Session, type SessionOptions, sessionOf } from "./session";

/** Runtimes that nobody can reach any more give back what they hold. */
const forgotten = new FinalizationRegistry<string>((owner) => engineClient().releaseQuietly(owner));

/**
 * A host. The constructor connects to nothing; the first operation does, and rejects InvalidRuntimeError when there is no
 * login or Python ≥ 3.8. (Python: `Runtime`.)
 *
 * @example
 * ```ts
 * const runtime = new Runtime("host-1");
 * await runtime.executeTask(new RuntimeTask("hello").runCommand("echo Hello World!"));
 * await runtime.close();
 * ```
 */
export class Runtime implements Displayable, ExecutionTarget {
  /** Holds the working directory in every step, whatever `envVariables` says. */
  static readonly WORKING_DIR_ENV_VAR_NAME: string = "WORKING_DIR";
  static readonly LOCALHOST: string = "localhost";

  readonly host: string;
  readonly className: string = "Runtime";
  /** @internal */
  readonly trusted: boolean;
  readonly #spec: HostSpec;
  /** A new one after each cleanup: what the old one left is gone. */
  #owner = newOwner();
  #workingDir: WorkingDirSpec;
  #variables: Record<string, string>;
  /** What was executed here; a task may run elsewhere afterwards, or here again. */
  #runs: readonly TaskRun[] = [];
  #used = false;

  /** @param host an ssh-config alias, `user@host:port` or `localhost`. */
  constructor(host: string, options?: RuntimeOptions) {
    this.host = checkHost(host, "Runtime");
    const checked = checkRuntimeOptions(this.host, options, "Runtime");
    this.#spec = checked.spec;
    this.trusted = checked.trusted;
    this.#workingDir =
      checked.workingDir === null ? { kind: "temporary" } : { kind: "given", path: checked.workingDir };
    this.#variables = checked.env;
    forgotten.register(this, this.#owner, this);
  }

  /**
   * Constructs and checks.
   *
   * @throws InvalidRuntimeError, PathCreationError (working directory), as a rejection.
   */
  static async connect(host: string, options?: RuntimeOptions): Promise<Runtime> {
    const runtime = new Runtime(host, options);
    try {
      await callEngine("connect", { owner: runtime.ownerSpec() });
    } catch (error) {
      // The login may have worked, and only the directory not.
      await runtime.cleanup();
      throw error;
    }
    return runtime;
  }

  /** False where `connect` would reject; never rejects for the host's sake. (Python: `is_valid_runtime`.) */
  async isValidRuntime(): Promise<boolean> {
    try {
      await callEngine("connect", { owner: this.ownerSpec() });
      return true;
    } catch (error) {
      if (error instanceof LazyclusterError) return false;
      throw error;
    }
  }

  /** Read and replaced as a whole; counts for executions started afterwards. (Python: `env_variables`.) */
  get envVariables(): Record<string, string> {
    return { ...this.#variables };
  }

  set envVariables(variables: Record<string, string>) {
    this.#variables = requireVariables(variables, "envVariables");
  }

  /** Merges into `envVariables`. (Python: `add_env_variables`.) */
  addEnvVariables(envVariables: Record<string, string>): void {
    this.#variables = { ...this.#variables, ...requireVariables(envVariables, "addEnvVariables") };
  }

  /** Absolute path; makes the temporary one. Rejects PathCreationError. (Python: `working_dir`.) */
  get workingDir(): Promise<string> {
    return callEngine("workingDir", { owner: this.ownerSpec() });
  }

  /** Such as `3.11.7`. (Python: `python_version`.) */
  get pythonVersion(): Promise<string> {
    return callEngine("connect", { owner: this.ownerSpec() }).then((info) => info.pythonVersion);
  }

  /** From now on steps run in `path` on the host; created when missing, and kept. Rejects PathCreationError. */
  async setWorkingDir(path: string): Promise<void> {
    const workingDir: WorkingDirSpec = { kind: "given", path: requirePath(path, "setWorkingDir") };
    await callEngine("workingDir", { owner: { ...this.ownerSpec(), workingDir } });
    this.#workingDir = workingDir;
  }

  /** Starts the task in the working directory. Throws LazyclusterError when it runs already. (Python: `execute_task`.) */
  executeTask(task: RuntimeTask, options?: ExecuteOptions): Execution {
    if (!(task instanceof RuntimeTask))
      throw new InvalidArgumentError(`executeTask takes a RuntimeTask, not ${show(task)}.`);
    const { execution, run } = startExecution(task, this, options, "executeTask");
    this.#runs = [...this.#runs, run];
    return execution;
  }

  /** A task of one `runFunction`. (Python: `execute_function`.) */
  executeFunction(fn: Runnable, kwargs?: PyKwargs, options?: ExecuteOptions & FunctionOptions): Execution {
    const given = requireOptions(options, [...EXECUTE_OPTIONS, ...FUNCTION_OPTIONS], "executeFunction");
    const pick = (keys: readonly string[]): object =>
      Object.fromEntries(keys.filter((key) => given[key] !== undefined).map((key) => [key, given[key]]));
    const task = new RuntimeTask().runFunction(fn, kwargs, pick(FUNCTION_OPTIONS));
    return this.executeTask(task, pick(EXECUTE_OPTIONS));
  }

  /**
   * A Python process on the host in which variables persist between calls. It starts with its first call; the same name gives the same
   * session.
   *
   * @example
   * ```ts
   * const session = runtime.session("main");
   * await session.run("import math\\nx = math.pi");
   * const [y] = await (await session.run("x * 2")).returns();
   * ```
   */
  session(name: string, options?: SessionOptions): Session {
    return sessionOf(this, name, options);
  }

  /** A task of one `sendFile`. (Python: `send_file`.) @param options a boolean is `executeAsync`. */
  sendFile(localPath: string, remotePath?: string, options?: boolean | ExecuteOptions): Execution {
    return this.executeTask(new RuntimeTask().sendFile(localPath, remotePath), asOptions(options));
  }

  /** A task of one `getFile`. (Python: `get_file`.) @param options a boolean is `executeAsync`. */
  getFile(remotePath: string, localPath?: string, options?: boolean | ExecuteOptions): Execution {
    return this.executeTask(new RuntimeTask().getFile(remotePath, localPath), asOptions(options));
  }

  /** What `echo` on the host makes of the text, without the newline at the end; the text is data. (Python: `echo`.) */
  async echo(msg: string): Promise<string> {
    if (typeof msg !== "string" || msg.includes("\0"))
      throw new InvalidArgumentError(`echo takes a text without NUL, not ${show(msg)}.`);
    const task = new RuntimeTask("echo").runCommand('echo "$LAZYCLUSTER_ECHO"');
    task.envVariables = { LAZYCLUSTER_ECHO: msg };
    await startExecution(task, this, undefined, "echo").execution;
    const pieces: Buffer[] = [];
    for await (const piece of task.openLog(0, "stdout")) pieces.push(piece);
    return Buffer.concat(pieces).toString("utf8").replace(/\n$/, "");
  }

  /** Values of all tasks in the order they were given; otherwise as in RuntimeTask. (Python: `function_returns`.) */
  get functionReturns(): AsyncGenerator<unknown, void, undefined> {
    const runs = this.#runs;
    return (async function* () {
      for (const run of runs) yield* run.values();
    })();
  }

  /** Log of the last task of that name. Throws InvalidArgumentError when none ran here. (Python: `execution_log`.) */
  executionLog(taskName: string): string[] {
    requireText(taskName, "executionLog: the task's name");
    const run = this.#runs.filter(({ record }) => record.name === taskName).at(-1);
    if (!run) throw new InvalidArgumentError(`No task ${JSON.stringify(taskName)} was executed on ${this.host}.`);
    return run.entries;
  }

  /** Prints the logs of all tasks. (Python: `print_log`.) */
  printLog(): void {
    if (this.#runs.length === 0) console.log(`No task was executed on ${this.host}.`);
    for (const { record, entries } of this.#runs) printEntries(record.name, record.host, entries);
  }

  /** Forgets the tasks that ended: logs, values, processes. (Python: `clear_tasks`.) */
  clearTasks(): void {
    this.#runs = this.#runs.filter((run) => !run.ended);
  }

  /** Waits for all tasks but those to be omitted. Rejects the error of one, a GroupError of several. (Python: `join`.) */
  async join(): Promise<void> {
    const results = await Promise.all(this.#runs.filter(({ task }) => !task.omitOnJoin).map(joined));
    const errors = results.flatMap(({ error }) => (error ? [error] : []));
    if (errors.length === 1 && errors[0]) throw errors[0];
    if (errors.length > 1) throw new GroupError(results);
  }

  /** Throws InvalidArgumentError for an unknown key. (Python: `get_process`.) */
  getProcess(key: string): ProcessHandle {
    const handle = this.getProcesses().get(key);
    if (!handle)
      throw new InvalidArgumentError(`${this.host}: there is no process ${show(key)}; getProcesses() has them all.`);
    return handle;
  }

  /** By key. (Python: `get_processes`.) @param onlyAlive default false. */
  getProcesses(onlyAlive = false): Map<string, ProcessHandle> {
    const handles = this.taskProcesses.filter((handle) => !onlyAlive || handle.alive);
    return new Map(handles.map((handle) => [handle.key, handle]));
  }

  /** Ends it; resolves when the remote process group is gone. Rejects InvalidArgumentError for an unknown key. (Python: `stop_process`.) */
  async stopProcess(key: string): Promise<void> {
    await this.getProcess(key).terminate();
  }

  static isRuntimeTaskProcess(processKey: string): boolean {
    return isTaskKey(processKey);
  }

  static isPortExposureProcess(processKey: string): boolean {
    return isPortKey(processKey);
  }

  isRuntimeTaskProcess(processKey: string): boolean {
    return isTaskKey(processKey);
  }

  isPortExposureProcess(processKey: string): boolean {
    return isPortKey(processKey);
  }

  get taskProcesses(): ProcessHandle[] {
    return this.#runs.map((run) => new TaskProcess(run));
  }

  /** Tasks and port exposures. */
  get aliveProcessCount(): number {
    return this.getProcesses(true).size;
  }

  get aliveTaskProcessCount(): number {
    return this.taskProcesses.filter((handle) => handle.alive).length;
  }

  /** Path of a new directory, removed at cleanup. Rejects PathCreationError. (Python: `create_tempdir`.) */
  createTempdir(): Promise<string> {
    return callEngine("createTempdir", { owner: this.ownerSpec() });
  }

  /** With its parents; no error when it exists. Rejects PathCreationError. (Python: `create_dir`.) */
  async createDir(path: string): Promise<void> {
    await callEngine("createDir", { owner: this.ownerSpec(), path: requirePath(path, "createDir") });
  }

  /** With its contents; false when it was not there or not all of it could be removed. (Python: `delete_dir`.) */
  async deleteDir(path: string): Promise<boolean> {
    return callEngine("deleteDir", { owner: this.ownerSpec(), path: requirePath(path, "deleteDir") });
  }

  /** Ends what runs, removes the temporary working directory, closes the connection. The next operation starts anew. (Python: `cleanup`.) */
  async cleanup(): Promise<void> {
    const owner = this.#owner;
    forgotten.unregister(this);
    this.#owner = newOwner();
    forgotten.register(this, this.#owner, this);
    const used = this.#used;
    this.#used = false;
    // The engine ends what still runs.
    if (used) await callEngine("release", { owner });
  }

  /** The same as `cleanup()`. */
  close(): Promise<void> {
    return this.cleanup();
  }

  /** `cleanup()` after `fn`, whatever became of it. */
  async use<R>(fn: (runtime: this) => R | Promise<R>): Promise<R> {
    try {
      return await fn(this);
    } finally {
      await this.cleanup();
    }
  }

  [jupyterDisplay](): MimeBundle {
    const rows = this.#runs.map(({ record }) => [record.name, record.state, String(record.steps.length)]);
    const cells = rows.map(
      (row) => `<tr>${row.map((text) => `<td style="text-align:left">${escapeHtml(text)}</td>`).join("")}</tr>`,
    );
    const head = `Runtime ${this.host}: ${String(this.aliveTaskProcessCount)} of ${String(rows.length)} tasks run`;
    return {
      "text/plain": [head, ...columns(rows).map((line) => `  ${line}`)].join("\n"),
      "text/html": `<div><b>${escapeHtml(head)}</b><table><tbody>${cells.join("")}</tbody></table></div>`,
    };
  }

  [inspect.custom](depth: number): string {
    return showLive(depth, () => this[jupyterDisplay](), null);
  }

  /** @internal */
  get targetEnv(): Readonly<Record<string, string>> {
    return this.#variables;
  }

  /** @internal */
  ownerSpec(): OwnerSpec {
    this.#used = true;
    return { id: this.#owner, host: this.#spec, workingDir: this.#workingDir };
  }
}

function newOwner(): string {
  return `runtime-${randomUUID()}`;
}

function asOptions(options: boolean | ExecuteOptions | undefined): ExecuteOptions | undefined {
  return typeof options === "boolean" ? { executeAsync: options } : options;
}

async function joined(run: TaskRun): Promise<HostResult> {
  const { host } = run.record;
  const { task } = run;
  try {
    await run.join();
    return { host, task };
  } catch (error) {
    if (error instanceof LazyclusterError) return { host, task, error };
    throw error;
  }
}
