/** From a composed task and a target to a running execution. */
import { randomUUID } from "crypto";
import { Environment, logs } from "../environment";
import { InvalidArgumentError } from "../errors";
import { requireFlag, requireOptions, show } from "../validate";
import { requireDetachable } from "./detachable";
import { Execution } from "./execution";
import { logPath } from "./log-path";
import { TaskProcess } from "./process-handle";
import type { RuntimeTask } from "./runtime-task";
import { logSteps } from "./step-log";
import type { ExecutionTarget } from "./target";
import type { TaskRun } from "./task-run";

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

/** A Runtime that nobody else holds gives back what it has on the host, and would take its task with it. */
const running = new Map<TaskRun, ExecutionTarget>();

export const EXECUTE_OPTIONS = ["executeAsync", "omitOnJoin", "debug", "signal", "detach"] as const;

/** Starts at once. Throws LazyclusterError `ERR_TASK_RUNNING`, InvalidArgumentError. */
export function startExecution(
  task: RuntimeTask,
  target: ExecutionTarget,
  options: ExecuteOptions | undefined,
  what: string,
): { readonly execution: Execution; readonly run: TaskRun } {
  const { debug, omitOnJoin, signal, detach } = checkExecuteOptions(options, what);
  if (detach) requireDetachable(task.stepSpecs, what);
  const owner = target.ownerSpec();
  const now = new Date();
  const id = randomUUID();
  const run = task.begin(
    {
      id,
      name: task.name,
      owner,
      steps: task.stepSpecs,
      env: { ...target.targetEnv, ...task.envVariables },
      logFile: logPath(Environment.mainDirectory, owner.host.host, task.name, now),
      startedAt: now.getTime(),
      detach: detach ? { name: `task-${id}`, takeOver: null } : null,
    },
    { debug, omitOnJoin, trusted: target.trusted },
  );
  const stopLogging = debug || !logs("debug") ? null : logSteps(task, run);
  const onAbort = (): void => {
    // What became of it is the execution's to tell.
    run.cancel().catch(() => undefined);
  };
  signal?.addEventListener("abort", onAbort);
  void run.settled.then(() => {
    signal?.removeEventListener("abort", onAbort);
    running.delete(run);
    stopLogging?.();
  });
  running.set(run, target);
  run.start(signal?.aborted);
  return { execution: executionOf(task, run), run };
}

/** What `executeTask` gives. */
export function executionOf(task: RuntimeTask, run: TaskRun): Execution {
  return new Execution<RuntimeTask>({
    task,
    tasks: [task],
    process: new TaskProcess(run),
    cancel: () => run.cancel(),
    detached: () => run.untilDetached(),
    outcome: async () => {
      await run.join();
      return task;
    },
  });
}

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
