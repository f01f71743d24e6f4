import { randomUUID } from "crypto";
import { inspect } from "util";
import {
  type Displayable,
  type MimeBundle,
  jupyterDisplay,
  showLive,
  stateCell,
  tableBundle,
  tableText,
} from "../display";
import { engineClient } from "../engine/client";
import type { Finding, HostSpec, OwnerSpec, TaskState, WorkingDirSpec } from "../engine/protocol";
import { InvalidArgumentError, LazyclusterError } from "../errors";
import type { PyKwargs, Runnable } from "../python";
import {
  FUNCTION_OPTIONS,
  type ExecuteOptions,
  type Execution,
  type ExecutionTarget,
  type FunctionOptions,
  type ProcessHandle,
  RuntimeTask,
  SYNC_OPTIONS,
  type SyncOptions,
  TRANSFER_OPTIONS,
  type TaskRun,
  type TransferOptions,
  isPortKey,
  isTaskKey,
  splitOptions,
  startExecution,
} from "../task";
import { requirePath, requireVariables, show } from "../validate";
import { callEngine } from "./engine-call";
import { type RuntimeFilter, checkRuntimeFilter, passesFilter } from "./filter";
import { type RuntimeOptions, checkHost, checkRuntimeOptions } from "./host-options";
import { type RuntimeInfo, infoLines } from "./info";
import { outputOf } from "./output-of";
import {
  type ExposureOptions,
  PortExposure,
  type PortRoute,
  firstFreePort,
  freePorts,
  requireAnyUser,
  requirePort,
  requirePorts,
} from "./ports";
import { ProcessList } from "./process-list";
import { type Session, type SessionOptions, sessionOf } from "./session";

/** Runtimes that nobody can reach any more give back what they hold. */
const forgotten = new FinalizationRegistry<string>((owner) => engineClient().releaseQuietly(owner));

/**
 * A host. The constructor connects to nothing; the first operation does, and rejects InvalidRuntimeError when there is no
 * login or Python ≥ 3.6. (Python: `Runtime`.)
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
  readonly #list: ProcessList;
  #used = false;
  #info: Promise<RuntimeInfo> | null = null;
  #knownInfo: RuntimeInfo | null = null;

  /** @param host an ssh-config alias, `user@host:port` or `localhost`. */
  constructor(host: string, options?: RuntimeOptions) {
    this.host = checkHost(host, "Runtime");
    const checked = checkRuntimeOptions(this.host, options, "Runtime");
    this.#spec = checked.spec;
    this.trusted = checked.trusted;
    this.#workingDir =
      checked.workingDir === null ? { kind: "temporary" } : { kind: "given", path: checked.workingDir };
    this.#variables = checked.env;
    this.#list = new ProcessList(this.host);
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

  /** What the host has: asked in one round trip at the first access, then cached until `cleanup()`; a failure is not. (Python: `info`.) */
  get info(): Promise<RuntimeInfo> {
    this.#info ??= this.#askInfo();
    return this.#info;
  }

  /** Such as `Debian GNU/Linux 12 (bookworm)`. (Python: `os`.) */
  get os(): Promise<string> {
    return this.info.then((info) => info.os);
  }

  /** Container quotas (cgroup v1, v2) count, so it may be a fraction. (Python: `cpu_cores`.) */
  get cpuCores(): Promise<number> {
    return this.info.then((info) => info.cpuCores);
  }

  /** [bytes] in total; container limits count. (Python: `memory`.) */
  get memory(): Promise<number> {
    return this.info.then((info) => info.memory);
  }

  /** [MB] in total, rounded down. (Python: `memory_in_mb`.) */
  get memoryInMb(): Promise<number> {
    return this.info.then((info) => Math.floor(info.memory / (1024 * 1024)));
  }

  /** Such as `3.11.7`. (Python: `python_version`.) */
  get pythonVersion(): Promise<string> {
    return this.info.then((info) => info.pythonVersion);
  }

  /** A name for each, as `nvidia-smi` and `rocm-smi` tell them. (Python: `gpus`.) */
  get gpus(): Promise<string[]> {
    return this.info.then((info) => [...info.gpus]);
  }

  /** (Python: `gpu_count`.) */
  get gpuCount(): Promise<number> {
    return this.info.then((info) => info.gpus.length);
  }

  /** Prints what the host has. (Python: `print_info`.) */
  async printInfo(): Promise<void> {
    const info = await this.info;
    console.log(tableText({ title: `Runtime ${info.host}`, head: null, rows: infoLines(info) }));
  }

  /**
   * Looks at the way to the host step by step: ssh config, name, network, host key, login, agent, Python, disk, clock,
   * forwarding. It ends at the first step that fails, and says what to do about it; it never rejects for the host's sake.
   */
  diagnose(): Promise<readonly Finding[]> {
    return callEngine("diagnose", { owner: this.ownerSpec() });
  }

  /** True when every condition holds; conditions are checked in parallel, commands last. (Python: `check_filter`.) */
  async checkFilter(filter: RuntimeFilter): Promise<boolean> {
    return passesFilter(this, checkRuntimeFilter(filter, "checkFilter"));
  }

  /** From now on steps run in `path` on the host; created when missing, and kept. Rejects PathCreationError. */
  async setWorkingDir(path: string): Promise<void> {
    const workingDir: WorkingDirSpec = { kind: "given", path: requirePath(path, "setWorkingDir") };
    await callEngine("workingDir", { owner: { ...this.ownerSpec(), workingDir } });
    this.#workingDir = workingDir;
  }

  /** Starts the task in the working directory. Throws LazyclusterError when it runs already. (Python: `execute_task`.) */
  executeTask(task: RuntimeTask, options?: ExecuteOptions): Execution {
    return this.start(task, options).execution;
  }

  /** A task of one `runFunction`. (Python: `execute_function`.) */
  executeFunction(fn: Runnable, kwargs?: PyKwargs, options?: ExecuteOptions & FunctionOptions): Execution {
    const [execute, call] = splitOptions(options, FUNCTION_OPTIONS, "executeFunction");
    return this.executeTask(new RuntimeTask().runFunction(fn, kwargs, call), execute);
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
  sendFile(localPath: string, remotePath?: string, options?: boolean | (ExecuteOptions & TransferOptions)): Execution {
    const [execute, transfer] = splitOptions(options, TRANSFER_OPTIONS, "sendFile");
    return this.executeTask(new RuntimeTask().sendFile(localPath, remotePath, transfer), execute);
  }

  /** A task of one `getFile`. (Python: `get_file`.) @param options a boolean is `executeAsync`. */
  getFile(remotePath: string, localPath?: string, options?: boolean | (ExecuteOptions & TransferOptions)): Execution {
    const [execute, transfer] = splitOptions(options, TRANSFER_OPTIONS, "getFile");
    return this.executeTask(new RuntimeTask().getFile(remotePath, localPath, transfer), execute);
  }

  /** A task of one `syncFolder`. @param options a boolean is `executeAsync`. */
  syncFolder(localPath: string, remotePath?: string, options?: boolean | (ExecuteOptions & SyncOptions)): Execution {
    const [execute, sync] = splitOptions(options, SYNC_OPTIONS, "syncFolder");
    return this.executeTask(new RuntimeTask().syncFolder(localPath, remotePath, sync), execute);
  }

  /** What `echo` on the host makes of the text, without the newline at the end; the text is data. (Python: `echo`.) */
  async echo(msg: string): Promise<string> {
    if (typeof msg !== "string" || msg.includes("\0"))
      throw new InvalidArgumentError(`echo takes a text without NUL, not ${show(msg)}.`);
    const task = new RuntimeTask("echo").runCommand('echo "$LAZYCLUSTER_ECHO"');
    task.envVariables = { LAZYCLUSTER_ECHO: msg };
    return (await outputOf(task, this, "echo")).replace(/\n$/, "");
  }

  /** Values of all tasks in the order they were given; otherwise as in RuntimeTask. (Python: `function_returns`.) */
  get functionReturns(): AsyncGenerator<unknown, void, undefined> {
    return this.#list.functionReturns;
  }

  /** Log of the last task of that name. Throws InvalidArgumentError when none ran here. (Python: `execution_log`.) */
  executionLog(taskName: string): string[] {
    return this.#list.executionLog(taskName);
  }

  /** Prints the logs of all tasks. (Python: `print_log`.) */
  printLog(): void {
    this.#list.printLog();
  }

  /** Forgets the tasks that ended: logs, values, processes. (Python: `clear_tasks`.) */
  clearTasks(): void {
    this.#list.clear();
  }

  /** Waits for all tasks but those to be omitted. Rejects the error of one, a GroupError of several. (Python: `join`.) */
  join(): Promise<void> {
    return this.#list.join();
  }

  /**
   * Makes a port of this machine reachable on the host, on its loopback. On a host that shares its ports with this machine
   * (such as `localhost`), the same port is reachable already, and nothing is done. (Python: `expose_port_to_runtime`.)
   *
   * @param runtimePort default: the same.
   * @returns the process key, for `stopProcess`.
   * @throws PortInUseError, as a rejection.
   * @example
   * ```ts
   * const key = await runtime.exposePortToRuntime(8786);
   * await runtime.stopProcess(key);
   * ```
   */
  async exposePortToRuntime(localPort: number, runtimePort?: number, options?: ExposureOptions): Promise<string> {
    const what = "exposePortToRuntime";
    const targetPort = requirePort(localPort, `${what}: localPort`);
    const port = runtimePort === undefined ? targetPort : requirePort(runtimePort, `${what}: runtimePort`);
    return this.#expose({ at: this, port, to: null, targetPort, anyUser: requireAnyUser(options, what) });
  }

  /**
   * Makes a port of the host reachable here, on the loopback. (Python: `expose_port_from_runtime`.)
   *
   * @param localPort default: the same.
   * @returns the process key, for `stopProcess`.
   * @throws PortInUseError, as a rejection.
   */
  async exposePortFromRuntime(runtimePort: number, localPort?: number, options?: ExposureOptions): Promise<string> {
    const what = "exposePortFromRuntime";
    const targetPort = requirePort(runtimePort, `${what}: runtimePort`);
    const port = localPort === undefined ? targetPort : requirePort(localPort, `${what}: localPort`);
    return this.#expose({ at: null, port, to: this, targetPort, anyUser: requireAnyUser(options, what) });
  }

  /** The first of the ports that is free on the host. Rejects NoPortsLeftError. (Python: `get_free_port`.) */
  async getFreePort(ports: number[]): Promise<number> {
    return firstFreePort([this], requirePorts(ports, "getFreePort"));
  }

  /** Whether nobody on the host uses the port, on any of its addresses. (Python: `has_free_port`.) */
  async hasFreePort(port: number): Promise<boolean> {
    return (await freePorts(this, [requirePort(port, "hasFreePort: the port")])).length > 0;
  }

  /** Throws InvalidArgumentError for an unknown key. (Python: `get_process`.) */
  getProcess(key: string): ProcessHandle {
    return this.#list.process(key);
  }

  /** By key. (Python: `get_processes`.) @param onlyAlive default false. */
  getProcesses(onlyAlive = false): Map<string, ProcessHandle> {
    return this.#list.processes(onlyAlive);
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
    return this.#list.taskProcesses;
  }

  /** Tasks and port exposures. */
  get aliveProcessCount(): number {
    return this.#list.aliveCount;
  }

  get aliveTaskProcessCount(): number {
    return this.#list.aliveTaskCount;
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
    this.#info = null;
    this.#knownInfo = null;
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
    const tasks = this.#list.runs.map(({ record }) => record);
    const head = `Runtime ${this.host}: ${String(this.aliveTaskProcessCount)} of ${String(tasks.length)} tasks run`;
    return tableBundle({
      title: head,
      head: null,
      rows: [
        ...(this.#knownInfo ? infoLines(this.#knownInfo) : []),
        ...tasks.map(({ name, state, steps }) => [name, stateCell(state), String(steps.length)]),
      ],
    });
  }

  [inspect.custom](depth: number): string {
    return showLive(depth, () => this[jupyterDisplay](), null);
  }

  /** @internal Starts a task here, and keeps it in the list. */
  start(task: RuntimeTask, options: ExecuteOptions | undefined): { execution: Execution; run: TaskRun } {
    if (!(task instanceof RuntimeTask))
      throw new InvalidArgumentError(`executeTask takes a RuntimeTask, not ${show(task)}.`);
    const started = startExecution(task, this, options, "executeTask");
    this.#list.addTask(started.run);
    return started;
  }

  /** @internal The answer, once it is there. */
  get knownInfo(): RuntimeInfo | null {
    return this.#knownInfo;
  }

  /** @internal Connects, and makes no working directory. Rejects InvalidRuntimeError. */
  async reach(): Promise<{ readonly pythonVersion: string }> {
    return callEngine("connect", { owner: { ...this.ownerSpec(), workingDir: { kind: "asIs", path: "" } } });
  }

  /** @internal */
  get lastTask(): { readonly name: string; readonly state: TaskState } | null {
    return this.#list.runs.at(-1)?.record ?? null;
  }

  /** @internal Those of the programs that steps would not find. */
  missing(names: readonly string[]): Promise<readonly string[]> {
    return callEngine("missing", { owner: this.ownerSpec(), names, env: this.#variables });
  }

  async #askInfo(): Promise<RuntimeInfo> {
    const owner = this.#owner;
    try {
      const facts = await callEngine("facts", { owner: this.ownerSpec() });
      const info = Object.freeze({ host: this.host, ...facts });
      if (this.#owner === owner) this.#knownInfo = info;
      return info;
    } catch (error) {
      if (this.#owner === owner) this.#info = null;
      throw error;
    }
  }

  /** @internal */
  keepExposure(exposure: PortExposure): void {
    this.#list.add(exposure);
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

  /** What leads the same way already is not exposed twice. */
  async #expose(route: PortRoute): Promise<string> {
    const alive = [...this.#list.processes(true).values()];
    const known = alive.find((handle) => handle instanceof PortExposure && handle.leads(route));
    if (known) return known.key;
    const exposure = await PortExposure.open(route);
    this.#list.add(exposure);
    return exposure.key;
  }
}

function newOwner(): string {
  return `runtime-${randomUUID()}`;
}
