/** How a task is executed, as users say it. */
import { InvalidArgumentError } from "../errors";
import { requireFlag, requireOptions, show } from "../validate";

export interface ExecuteOptions {
  /** For the reference's sake: an execution always starts at once; `false` says "I await it". Default true. */
  executeAsync?: boolean;
  /** Sets the task's `omitOnJoin`; default: leave it as it is. */
  omitOnJoin?: boolean;
  /** True: output also goes to the manager's stdout as it arrives; default false. */
  debug?: boolean;
  /** Aborting it cancels the task. */
  signal?: AbortSignal;
  /**
   * True: once it has begun on the host, the task outlives this process and its connection, until a day after the last
   * manager left (or the lease, when that is longer). `lazycluster ps`, `logs`, `cancel` and `attach` see it from any process
   * of this user. It has a working directory of its own where the Runtime's is a temporary one. Default false.
   */
  detach?: boolean;
}

export const EXECUTE_OPTIONS = ["executeAsync", "omitOnJoin", "debug", "signal", "detach"] as const;

/** A boolean is `executeAsync`. */
export function asExecuteOptions(options: boolean | ExecuteOptions | undefined): ExecuteOptions | undefined {
  return typeof options === "boolean" ? { executeAsync: options } : options;
}

/** The options of an execution, and those of its one step. A boolean is `executeAsync`. */
export function splitOptions(
  options: boolean | ExecuteOptions | undefined,
  ofStep: readonly string[],
  what: string,
): [execute: ExecuteOptions, step: object] {
  const given = requireOptions(asExecuteOptions(options), [...EXECUTE_OPTIONS, ...ofStep], what);
  const pick = (keys: readonly string[]): object =>
    Object.fromEntries(keys.filter((key) => given[key] !== undefined).map((key) => [key, given[key]]));
  return [pick(EXECUTE_OPTIONS), pick(ofStep)];
}

export function checkExecuteOptions(
  options: ExecuteOptions | undefined,
  what: string,
  more: readonly string[] = [],
): { debug: boolean; omitOnJoin: boolean | undefined; signal: AbortSignal | undefined; detach: boolean } {
  const given = requireOptions(options, [...EXECUTE_OPTIONS, ...more], what);
  const flag = (name: "executeAsync" | "omitOnJoin" | "debug" | "detach"): boolean | undefined =>
    given[name] === undefined ? undefined : requireFlag(given[name], `${what}: ${name}`);
  const { signal } = given;
  flag("executeAsync");
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidArgumentError(`${what}: signal must be an AbortSignal, not ${show(signal)}.`);
  }
  return { debug: flag("debug") ?? false, omitOnJoin: flag("omitOnJoin"), signal, detach: flag("detach") ?? false };
}
