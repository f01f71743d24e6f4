import { inspect } from "util";
import {
  type Displayable,
  type MimeBundle,
  jupyterDisplay,
  oneLine,
  showLive,
  stateCell,
  tableBundle,
} from "../display";
import { log } from "../environment";
import {
  InvalidArgumentError,
  type InvalidRuntimeError,
  LazyclusterError,
  NoRuntimesDetectedError,
  listed,
} from "../errors";
import { requireOptions, requirePath, show } from "../validate";
import { type CheckedFilter, type RuntimeFilter, checkRuntimeFilter, passesFilter, requireNames } from "./filter";
import { RuntimeGroup } from "./group";
import { RUNTIME_KEYS, type RuntimeOptions } from "./host-options";
import { printInfos } from "./info-table";
import { configName, noHosts, probeHosts } from "./probe";
import { Runtime } from "./runtime";

/** For every host, as in RuntimeOptions; `sshConfigFile` is also where the hosts come from. */
export type ManagerOptions = Omit<RuntimeOptions, "workingDir">;

export interface GroupFilters extends RuntimeFilter {
  /** Not together with `excludeHosts`. */
  includeHosts?: string | string[];
  excludeHosts?: string | string[];
  /** As in RuntimeOptions, on every host. */
  workingDir?: string;
}

/**
 * The hosts of the ssh config that are usable now. (Python: `RuntimeManager`.)
 *
 * @example
 * ```ts
 * const manager = await RuntimeManager.create();
 * const group = await manager.createGroup({ minMemory: 8192, excludeHosts: "host-3" });
 * ```
 */
export class RuntimeManager implements Displayable {
  readonly #options: ManagerOptions;
  /** They keep the connections for the groups. */
  readonly #active: ReadonlyMap<string, Runtime>;
  /** Why, by inactive host. */
  readonly inactiveReasons: ReadonlyMap<string, InvalidRuntimeError>;

  private constructor(
    options: ManagerOptions,
    active: ReadonlyMap<string, Runtime>,
    inactive: ReadonlyMap<string, InvalidRuntimeError>,
  ) {
    this.#options = options;
    this.#active = active;
    this.inactiveReasons = inactive;
  }

  /** Probes all hosts in parallel. Rejects NoRuntimesDetectedError, which says why each is not usable. */
  static async create(options?: ManagerOptions): Promise<RuntimeManager> {
    const what = "RuntimeManager.create";
    const keys = RUNTIME_KEYS.filter((key) => key !== "workingDir");
    const given: ManagerOptions = { ...requireOptions(options, keys, what) };
    const probes = await probeHosts(given, what);
    const active = new Map<string, Runtime>();
    const inactive = new Map<string, InvalidRuntimeError>();
    for (const { runtime, error } of probes) {
      if (error) inactive.set(runtime.host, error);
      else active.set(runtime.host, runtime);
    }
    if (active.size === 0) throw noneActive(configName(given.sshConfigFile, what), [...inactive.values()]);
    return new RuntimeManager(given, active, inactive);
  }

  /** The usable ones, in the order of the ssh config. */
  get hosts(): string[] {
    return [...this.#active.keys()];
  }

  /** (Python: `inactive_hosts`.) */
  get inactiveHosts(): string[] {
    return [...this.inactiveReasons.keys()];
  }

  /**
   * A group of the active hosts that pass the filters, asked in parallel; all of them by default. Groups do not share
   * runtimes. Rejects NoRuntimesDetectedError when none passes. (Python: `create_group`.)
   */
  async createGroup(filters?: GroupFilters): Promise<RuntimeGroup> {
    const what = "createGroup";
    const filter = checkRuntimeFilter(filters, what, ["includeHosts", "excludeHosts", "workingDir"]);
    const hosts = this.#select(filters?.includeHosts, filters?.excludeHosts, what);
    const workingDir =
      filters?.workingDir === undefined ? {} : { workingDir: requirePath(filters.workingDir, `${what}: workingDir`) };
    const candidates = hosts.map((host) => new Runtime(host, { ...this.#options, ...workingDir }));
    const verdicts = await Promise.all(candidates.map((runtime) => judge(runtime, filter)));
    const chosen = candidates.filter((_, index) => verdicts[index] === null);
    await Promise.all(candidates.filter((runtime) => !chosen.includes(runtime)).map((runtime) => runtime.close()));
    if (chosen.length > 0) return new RuntimeGroup(chosen);
    const reasons = verdicts.flatMap((verdict) => (verdict === null ? [] : [verdict]));
    throw new NoRuntimesDetectedError(
      reasons.length === 0
        ? "createGroup: no active host is left. Name others; printHosts() has the active ones."
        : `createGroup: no host passes the filters. Ask for less, or add hosts.\n${listed(reasons)}`,
    );
  }

  /** (Python: `print_runtime_info`.) */
  async printRuntimeInfo(): Promise<void> {
    await printInfos([...this.#active.values()]);
  }

  /** The active ones. (Python: `print_hosts`.) */
  printHosts(): void {
    for (const host of this.hosts) console.log(host);
  }

  /** With the reason of each. (Python: `print_inactive_hosts`.) */
  printInactiveHosts(): void {
    if (this.inactiveReasons.size === 0) console.log("All hosts of the ssh config are active.");
    for (const [host, { message }] of this.inactiveReasons) console.log(`${host}: ${oneLine(message, 300)}`);
  }

  /** Gives back the connections that it keeps for groups; the groups themselves keep theirs. */
  async close(): Promise<void> {
    await Promise.all([...this.#active.values()].map((runtime) => runtime.close()));
  }

  /** `close()` after `fn`, whatever became of it. */
  async use<R>(fn: (manager: this) => R | Promise<R>): Promise<R> {
    try {
      return await fn(this);
    } finally {
      await this.close();
    }
  }

  [jupyterDisplay](): MimeBundle {
    const inactive = [...this.inactiveReasons].map(([host, { message }]) => [
      host,
      stateCell("inactive"),
      oneLine(message, 300),
    ]);
    return tableBundle({
      title: `RuntimeManager: ${String(this.#active.size)} hosts active, ${String(inactive.length)} inactive`,
      head: null,
      rows: [...this.hosts.map((host) => [host, stateCell("active"), ""]), ...inactive],
    });
  }

  [inspect.custom](depth: number): string {
    return showLive(depth, () => this[jupyterDisplay](), null);
  }

  /** Throws InvalidArgumentError for a host that the ssh config does not name. */
  #select(include: unknown, exclude: unknown, what: string): string[] {
    if (include !== undefined && exclude !== undefined)
      throw new InvalidArgumentError(`${what} takes includeHosts or excludeHosts, not both.`);
    const named = new Set(requireNames(include ?? exclude, `${what}: a host`));
    for (const host of named) {
      if (this.#active.has(host)) continue;
      const reason = this.inactiveReasons.get(host);
      if (!reason)
        throw new InvalidArgumentError(
          `${what}: the ssh config has no host ${show(host)}; it has ${this.hosts.join(", ")}.`,
        );
      if (include !== undefined) log("warn", `${what}: ${host} was included but is not active: ${reason.message}`);
    }
    if (include !== undefined) return this.hosts.filter((host) => named.has(host));
    return this.hosts.filter((host) => !named.has(host));
  }
}

/** Null: it passes; else why not. What it has is read anyway: placing tasks goes by it. */
async function judge(runtime: Runtime, filter: CheckedFilter): Promise<string | null> {
  try {
    const [passes] = await Promise.all([passesFilter(runtime, filter), runtime.info]);
    return passes ? null : `${runtime.host}: does not pass the filters`;
  } catch (error) {
    if (!(error instanceof LazyclusterError)) throw error;
    log("warn", `createGroup: left out: ${error.message}`);
    return error.message;
  }
}

function noneActive(file: string, reasons: readonly InvalidRuntimeError[]): NoRuntimesDetectedError {
  if (reasons.length === 0) return new NoRuntimesDetectedError(noHosts(file));
  const text = `None of the ${String(reasons.length)} hosts in ${file} is usable:\n`;
  return new NoRuntimesDetectedError(text + listed(reasons.map(({ message }) => message)), { cause: reasons[0] });
}
