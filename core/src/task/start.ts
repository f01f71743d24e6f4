/** From a composed task and a target to a running execution. */
import { randomUUID } from "crypto";
import { engineClient } from "../engine/client";
import type { ExecutionSpec } from "../engine/protocol";
import { Environment, logs } from "../environment";
import { requireDetachable } from "./detachable";
import { type ExecuteOptions, checkExecuteOptions } from "./execute-options";
import { Execution } from "./execution";
import { logPath } from "./log-path";
import { TaskProcess } from "./process-handle";
import type { RuntimeTask } from "./runtime-task";
import { logSteps } from "./step-log";
import type { ExecutionTarget } from "./target";
import { TaskRun } from "./task-run";

interface BeginOptions {
  readonly debug: boolean;
  readonly omitOnJoin: boolean | undefined;
  readonly trusted: boolean;
}

/** A Runtime that nobody else holds gives back what it has on the host, and would take its task with it. */
const running = new Map<TaskRun, ExecutionTarget>();

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
  const run = begin(
    task,
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

/** A new execution of the task, not started yet. Throws LazyclusterError when it runs, InvalidArgumentError when it has no steps. */
export function begin(task: RuntimeTask, spec: ExecutionSpec, { debug, omitOnJoin, trusted }: BeginOptions): TaskRun {
  const run = new TaskRun(task, spec, engineClient(), task.prepare(debug), trusted);
  task.began(run, omitOnJoin);
  return run;
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
