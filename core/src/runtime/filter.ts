/** Conditions that a host must meet. */
import { log } from "../environment";
import { TaskExecutionError, type ExecutionTarget, RuntimeTask } from "../task";
import { requireFlag, requireNumber, requireOptions, requirePath } from "../validate";
import type { RuntimeInfo } from "./info";
import { outputOf } from "./output-of";

/**
 * All of it must hold. (Python: the arguments of `check_filter`.)
 *
 * @example
 * ```ts
 * await runtime.checkFilter({ minMemory: 8192, installedExecutables: ["git", "nvcc"] });
 * ```
 */
export interface RuntimeFilter {
  /** True: at least one GPU. */
  gpuRequired?: boolean;
  /** [MB] */
  minMemory?: number;
  minCpuCores?: number;
  /** Names that must be found on the host's PATH. */
  installedExecutables?: string | string[];
  /** Shell commands; each must print `true`. */
  filterCommands?: string | string[];
}

export const FILTER_KEYS = [
  "gpuRequired",
  "minMemory",
  "minCpuCores",
  "installedExecutables",
  "filterCommands",
] as const;

/** RuntimeFilter after its check. */
export interface CheckedFilter {
  readonly gpuRequired: boolean;
  readonly minMemory: number;
  readonly minCpuCores: number;
  readonly executables: readonly string[];
  readonly commands: readonly string[];
}

/** Throws InvalidArgumentError. @param more keys that the caller knows. */
export function checkRuntimeFilter(filter: unknown, what: string, more: readonly string[] = []): CheckedFilter {
  const given = requireOptions(filter, [...FILTER_KEYS, ...more], what);
  const least = (key: "minMemory" | "minCpuCores"): number =>
    given[key] === undefined ? 0 : requireNumber(given[key], `${what}: ${key}`);
  return {
    gpuRequired: given["gpuRequired"] === undefined ? false : requireFlag(given["gpuRequired"], `${what}: gpuRequired`),
    minMemory: least("minMemory"),
    minCpuCores: least("minCpuCores"),
    executables: requireNames(given["installedExecutables"], `${what}: installedExecutables`),
    commands: requireNames(given["filterCommands"], `${what}: filterCommands`),
  };
}

/** One text or several, none of them empty; `undefined` is none. Throws InvalidArgumentError. */
export function requireNames(value: unknown, what: string): string[] {
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).map((name) => requirePath(name, what));
}

/** What a filter asks. */
export interface FilteredHost extends ExecutionTarget {
  readonly host: string;
  /** Asked when it is read. */
  readonly info: Promise<Pick<RuntimeInfo, "cpuCores" | "memory" | "gpus">>;
  /** Those of the programs that are not there. */
  missing(names: readonly string[]): Promise<readonly string[]>;
}

const MB = 1024 * 1024;
/** [ms] that a filter command may take. */
const COMMAND_MS = 60_000;

/** Commands are only run where all else holds. Rejects when the host cannot be asked. */
export async function passesFilter(host: FilteredHost, filter: CheckedFilter): Promise<boolean> {
  const holds = await Promise.all([hasResources(host, filter), hasExecutables(host, filter.executables)]);
  if (holds.includes(false)) return false;
  const outcomes = await Promise.all(filter.commands.map((command) => printsTrue(host, command)));
  return !outcomes.includes(false);
}

async function hasResources(host: FilteredHost, filter: CheckedFilter): Promise<boolean> {
  if (!filter.gpuRequired && filter.minMemory === 0 && filter.minCpuCores === 0) return true;
  const { cpuCores, memory, gpus } = await host.info;
  return cpuCores >= filter.minCpuCores && memory / MB >= filter.minMemory && (!filter.gpuRequired || gpus.length > 0);
}

async function hasExecutables(host: FilteredHost, names: readonly string[]): Promise<boolean> {
  return names.length === 0 || (await host.missing(names)).length === 0;
}

async function printsTrue(host: FilteredHost, command: string): Promise<boolean> {
  const task = new RuntimeTask("filter").runCommand(command, { check: false, timeoutMs: COMMAND_MS });
  try {
    // Python prints it with a capital.
    return (await outputOf(task, host, "filterCommands")).trim().toLowerCase() === "true";
  } catch (error) {
    if (!(error instanceof TaskExecutionError) || error.reason !== "timeout") throw error;
    log("warn", `${host.host}: the filter command took too long, so it does not pass: ${command}`);
    return false;
  }
}
