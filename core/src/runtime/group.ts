import { inspect } from "util";
import { type Displayable, type MimeBundle, jupyterDisplay, showLive, stateCell, tableBundle } from "../display";
import { log } from "../environment";
import { InvalidArgumentError, NoRuntimesDetectedError } from "../errors";
import {
  type HostResult,
  type ExecuteOptions,
  type Execution,
  type ProcessHandle,
  RuntimeTask,
  asExecuteOptions,
  checkExecuteOptions,
} from "../task";
import { requireFlag, requireVariables, show } from "../validate";
import { countStates, startBroadcast } from "./broadcast";
import { askInfo, printInfos } from "./info-table";
import { liveRuns } from "./live-runs";
import { failureOfHosts } from "./hosts-failure";
import { type GroupMembers, Members } from "./members";
import { leastBusy } from "./placement";
import { type ExposureOptions, commonPorts, firstFreePort, requireAnyUser, requirePort, requirePorts } from "./ports";
import { type GroupService, exposeEverywhere, requirePortChoice } from "./ports-group";
import { ProcessList } from "./process-list";
import type { Runtime } from "./runtime";

export interface GroupExecuteOptions extends ExecuteOptions {
  /** Not together with `broadcast`. */
  host?: string;
  /** True: on every host at once, as clones; default false. */
  broadcast?: boolean;
}

/**
 * Hosts of one group, by name. Host arguments must be in the group, else InvalidArgumentError. (Python: `RuntimeGroup`.)
 *
 * @example
 * ```ts
 * const group = new RuntimeGroup({ hosts: ["host-1", "host-2"], workingDir: "/workspace" });
 * await group.executeTask(new RuntimeTask().runCommand("hostname"), { broadcast: true });
 * await group.close();
 * ```
 */
export class RuntimeGroup implements Displayable {
  readonly #members: Members;
  /** What the group was given to do, wherever it went. */
  readonly #list = new ProcessList("this group");
  /** How many tasks each got of us. */
  readonly #given = new WeakMap<Runtime, number>();

  /** Runtimes, or hosts with the options for all of them; either, never both or none. */
  constructor(members: GroupMembers | Runtime[]);
  constructor(...hosts: string[]);
  constructor(...given: unknown[]) {
    this.#members = new Members(given);
  }

  get hosts(): string[] {
    return this.#members.hosts;
  }

  get runtimes(): Runtime[] {
    return this.#members.runtimes;
  }

  /** (Python: `runtime_count`.) */
  get runtimeCount(): number {
    return this.hosts.length;
  }

  /** Of all runtimes of the group. (Python: `task_processes`.) */
  get taskProcesses(): ProcessHandle[] {
    return this.runtimes.flatMap((runtime) => runtime.taskProcesses);
  }

  /** Values in the order in which the group was given the tasks (a broadcast: in group order). (Python: `function_returns`.) */
  get functionReturns(): AsyncGenerator<unknown, void, undefined> {
    return this.#list.functionReturns;
  }

  /** What each task of the group became, in the order given, after all ended; never rejects for a task's sake. */
  results(): Promise<HostResult[]> {
    return this.#list.results();
  }

  /** Replaces the variables of every runtime. (Python: `set_env_variables`.) */
  setEnvVariables(envVariables: Record<string, string>): void {
    const variables = requireVariables(envVariables, "setEnvVariables");
    for (const runtime of this.runtimes) runtime.envVariables = variables;
  }

  /** Merges into the variables of every runtime. (Python: `add_env_variables`.) */
  addEnvVariables(envVariables: Record<string, string>): void {
    const variables = requireVariables(envVariables, "addEnvVariables");
    for (const runtime of this.runtimes) runtime.addEnvVariables(variables);
  }

  /** Throws InvalidArgumentError when the host is in the group already. (Python: `add_runtime`.) */
  addRuntime(runtime: string | Runtime): void {
    this.#members.add(runtime);
  }

  /** Warns when it is not in the group; what runs there goes on. (Python: `remove_runtime`.) */
  removeRuntime(host: string): void {
    if (!this.#members.remove(host))
      log("warn", `removeRuntime: ${show(host)} is not in the group; it has ${this.hosts.join(", ") || "no hosts"}.`);
  }

  /** (Python: `contains_runtime`.) */
  containsRuntime(host: string): boolean {
    return this.#members.has(host);
  }

  /**
   * A runtime of the group. (Python: `get_runtime`.)
   *
   * @param host default: the least busy one, by running tasks for each core (until a host's cores are known it counts as an
   *   average one); of equal ones that which was given the fewest tasks.
   */
  getRuntime(host?: string): Runtime {
    if (host !== undefined) return this.#members.get(host, "getRuntime");
    const { runtimes } = this;
    const best = leastBusy(
      runtimes.map((runtime) => ({
        running: runtime.aliveTaskProcessCount,
        given: this.#given.get(runtime) ?? 0,
        cores: runtime.knownInfo?.cpuCores ?? null,
      })),
    );
    const runtime = runtimes[best];
    if (!runtime) throw new NoRuntimesDetectedError("The group has no hosts: add one with addRuntime.");
    return runtime;
  }

  /** By host, all by default; either list, not both. (Python: `get_runtimes`.) */
  getRuntimes(includeHosts?: string | string[], excludeHosts?: string | string[]): Map<string, Runtime> {
    return this.#members.select(includeHosts, excludeHosts, "getRuntimes");
  }

  /** On every host at once, as clones. Rejects GroupError with all results when one failed. (Python: `execute_task`.) */
  executeTask(task: RuntimeTask, options: GroupExecuteOptions & { broadcast: true }): Execution<RuntimeTask[]>;
  /** On one host: `host`, or the least busy one. */
  executeTask(task: RuntimeTask, options?: GroupExecuteOptions & { broadcast?: false }): Execution;
  executeTask(task: RuntimeTask, options: GroupExecuteOptions): Execution | Execution<RuntimeTask[]>;
  executeTask(task: RuntimeTask, options?: GroupExecuteOptions): Execution | Execution<RuntimeTask[]> {
    if (!(task instanceof RuntimeTask))
      throw new InvalidArgumentError(`executeTask takes a RuntimeTask, not ${show(task)}.`);
    checkExecuteOptions(options, "executeTask", ["host", "broadcast"]);
    const { host, broadcast, ...rest } = options ?? {};
    if (broadcast !== undefined) requireFlag(broadcast, "executeTask: broadcast");
    if (!broadcast) return this.#executeOnOne(task, host, rest);
    if (host !== undefined)
      throw new InvalidArgumentError(
        `executeTask: a broadcast goes to every host, so it takes no host (${show(host)}).`,
      );
    return this.#broadcast(task, rest);
  }

  /** To every host, in parallel. (Python: `send_file`.) @param options a boolean is `executeAsync`. */
  sendFile(localPath: string, remotePath?: string, options?: boolean | ExecuteOptions): Execution<RuntimeTask[]> {
    const task = new RuntimeTask().sendFile(localPath, remotePath);
    const given = asExecuteOptions(options);
    checkExecuteOptions(given, "sendFile");
    return this.#broadcast(task, given ?? {});
  }

  /**
   * Makes a port of this machine reachable on every host: on all of them, or on none. Hosts that share their ports get it once.
   * (Python: `expose_port_to_runtimes`.)
   *
   * @param runtimePort default: the same; of a list the first that is free everywhere.
   * @returns the port.
   * @throws PortInUseError, NoPortsLeftError (of a list), as a rejection.
   */
  async exposePortToRuntimes(
    localPort: number,
    runtimePort?: number | number[],
    excludeHosts?: string | string[],
    options?: ExposureOptions,
  ): Promise<number> {
    const what = "exposePortToRuntimes";
    const targetPort = requirePort(localPort, `${what}: localPort`);
    const choice = requirePortChoice(runtimePort ?? targetPort, `${what}: runtimePort`);
    const places = [...this.#members.select(undefined, excludeHosts, what).values()];
    return this.#expose({ places, choice, to: null, targetPort, anyUser: requireAnyUser(options, what) });
  }

  /**
   * Makes a port of `host` reachable on this machine and on all other hosts, on the same port everywhere, or nowhere. (Python:
   * `expose_port_from_runtime_to_group`.)
   *
   * @param groupPort default: the same; of a list the first that is free everywhere.
   * @returns the port.
   * @throws PortInUseError, NoPortsLeftError (of a list), as a rejection.
   */
  async exposePortFromRuntimeToGroup(
    host: string,
    runtimePort: number,
    groupPort?: number | number[],
    options?: ExposureOptions,
  ): Promise<number> {
    const what = "exposePortFromRuntimeToGroup";
    const to = this.#members.get(host, what);
    const targetPort = requirePort(runtimePort, `${what}: runtimePort`);
    const choice = requirePortChoice(groupPort ?? targetPort, `${what}: groupPort`);
    const places = [null, ...this.runtimes.filter((runtime) => runtime !== to)];
    return this.#expose({ places, choice, to, targetPort, anyUser: requireAnyUser(options, what) }, to);
  }

  /**
   * The first that is free on every host; asked in parallel. Rejects NoPortsLeftError. (Python: `get_free_port`.)
   *
   * @param enforceCheckOnLocalhost on this machine too; default false.
   */
  async getFreePort(ports: number[], enforceCheckOnLocalhost = false): Promise<number> {
    const local = requireFlag(enforceCheckOnLocalhost, "getFreePort: enforceCheckOnLocalhost") ? [null] : [];
    return firstFreePort([...local, ...this.runtimes], requirePorts(ports, "getFreePort"));
  }

  /** Whether it is free on every host. (Python: `has_free_port`.) */
  async hasFreePort(port: number, excludeHosts?: string | string[]): Promise<boolean> {
    const ports = [requirePort(port, "hasFreePort: the port")];
    const places = [...this.#members.select(undefined, excludeHosts, "hasFreePort").values()];
    return (await commonPorts(places, ports)).length > 0;
  }

  /** Waits for all tasks of the group but those to be omitted. Rejects GroupError. (Python: `join`.) */
  join(): Promise<void> {
    return this.#list.joinAll();
  }

  /** Prints the logs of all runtimes. (Python: `print_log`.) */
  printLog(): void {
    for (const runtime of this.runtimes) runtime.printLog();
  }

  /** (Python: `print_hosts`.) */
  printHosts(): void {
    for (const host of this.hosts) console.log(host);
  }

  /** What each host has, asked in parallel; of one that cannot be asked, why. (Python: `print_runtime_info`.) */
  async printRuntimeInfo(): Promise<void> {
    await printInfos(this.runtimes);
  }

  /** Reads every host's `info` ahead of need, in parallel; hosts that fail are skipped. (Python: `fill_runtime_info_buffers_async`.) */
  async fillRuntimeInfoBuffersAsync(): Promise<void> {
    await Promise.all(this.runtimes.map(askInfo));
  }

  /** Forgets the tasks that ended, here and in every runtime. (Python: `clear_tasks`.) */
  clearTasks(): void {
    this.#list.clear();
    for (const runtime of this.runtimes) runtime.clearTasks();
  }

  /** `cleanup()` of every runtime, in parallel. (Python: `cleanup`.) */
  async cleanup(): Promise<void> {
    const outcomes = await Promise.allSettled(this.runtimes.map((runtime) => runtime.cleanup()));
    const failures = outcomes.flatMap((outcome): unknown[] => (outcome.status === "rejected" ? [outcome.reason] : []));
    if (failures.length > 0) throw failureOfHosts(failures, this.runtimeCount);
  }

  /** The same as `cleanup()`. */
  close(): Promise<void> {
    return this.cleanup();
  }

  /** `cleanup()` after `fn`, whatever became of it. */
  async use<R>(fn: (group: this) => R | Promise<R>): Promise<R> {
    try {
      return await fn(this);
    } finally {
      await this.cleanup();
    }
  }

  [jupyterDisplay](): MimeBundle {
    const { runs } = this.#list;
    return tableBundle({
      title: `RuntimeGroup of ${String(this.runtimeCount)} hosts: ${countStates(runs)}`,
      head: ["HOST", "RUNNING", "OF", "LAST TASK", "STATE"],
      rows: this.runtimes.map((runtime) => {
        const its = runtime.taskProcesses;
        const last = runtime.lastTask;
        return [
          runtime.host,
          String(runtime.aliveTaskProcessCount),
          String(its.length),
          last?.name ?? "",
          stateCell(last?.state ?? ""),
        ];
      }),
    });
  }

  [inspect.custom](depth: number): string {
    return showLive(depth, () => this[jupyterDisplay](), liveRuns(this.#list.runs));
  }

  /** @param home the runtime that keeps what listens on this machine. */
  async #expose(service: GroupService, home?: Runtime): Promise<number> {
    const { port, exposures } = await exposeEverywhere(service);
    for (const [place, exposure] of exposures) {
      const runtime = this.runtimes.find((member) => member === place) ?? home;
      runtime?.keepExposure(exposure);
      this.#list.add(exposure);
    }
    return port;
  }

  #executeOnOne(task: RuntimeTask, host: string | undefined, options: ExecuteOptions): Execution {
    const runtime = this.getRuntime(host);
    const { execution, run } = runtime.start(task, options);
    this.#given.set(runtime, (this.#given.get(runtime) ?? 0) + 1);
    this.#list.addTask(run);
    // For the next one: over the connection that is made anyway, and nobody waits for it.
    if (host === undefined && !runtime.knownInfo) runtime.info.catch(() => undefined);
    return execution;
  }

  #broadcast(task: RuntimeTask, options: ExecuteOptions): Execution<RuntimeTask[]> {
    const { runtimes } = this;
    if (runtimes.length === 0) throw new NoRuntimesDetectedError("The group has no hosts: add one with addRuntime.");
    const { execution, runs } = startBroadcast(task, runtimes, options);
    for (const run of runs) this.#list.addTask(run);
    return execution;
  }
}
