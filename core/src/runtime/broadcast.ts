/** One task on many hosts at once. */
import { randomUUID } from "crypto";
import { type MimeBundle, formatDuration, lastLine, oneLine, stateCell, tableBundle } from "../display";
import type { TaskState } from "../engine/protocol";
import {
  GroupError,
  TaskExecutionError,
  type ExecuteOptions,
  Execution,
  type ProcessHandle,
  type RuntimeTask,
  type TaskRun,
  taskProcessKey,
} from "../task";
import { liveRuns } from "./live-runs";
import { resultOf } from "./process-list";

/** What can be given a task. */
interface Host {
  start(task: RuntimeTask, options: ExecuteOptions): { readonly run: TaskRun };
}

/** Each host runs a clone of its own. Throws as one execution does, before anything was started. */
export function startBroadcast(
  task: RuntimeTask,
  hosts: readonly Host[],
  options: ExecuteOptions,
): { readonly execution: Execution<RuntimeTask[]>; readonly runs: readonly TaskRun[] } {
  // One listener for all: a signal warns of many.
  const { signal, ...each } = options;
  const runs = hosts.map((host) => host.start(task.clone(), each).run);
  const cancel = async (): Promise<void> => {
    await Promise.all(runs.map((run) => run.cancel()));
  };
  const onAbort = (): void => {
    // What became of them is the execution's to tell.
    cancel().catch(() => undefined);
  };
  const settled = Promise.all(runs.map((run) => run.settled));
  signal?.addEventListener("abort", onAbort);
  void settled.then(() => signal?.removeEventListener("abort", onAbort));
  if (signal?.aborted) onAbort();
  const execution = new Execution<RuntimeTask[]>({
    task,
    tasks: runs.map((run) => run.task),
    process: new BroadcastProcess(task.name, runs, cancel),
    cancel,
    detached: async () => {
      await Promise.all(runs.map((run) => run.untilDetached()));
    },
    outcome: async () => {
      const results = await Promise.all(runs.map(resultOf));
      if (results.some(({ error }) => error)) throw new GroupError(results);
      return runs.map((run) => run.task);
    },
    view: { show: () => broadcastBundle(task.name, runs), live: () => liveRuns(runs) },
  });
  return { execution, runs };
}

/** One handle over all. */
class BroadcastProcess implements ProcessHandle {
  readonly kind = "task";
  readonly key: string;
  readonly host = null;
  readonly pid = null;
  readonly exitCode = null;

  constructor(
    name: string,
    private readonly runs: readonly TaskRun[],
    private readonly cancel: () => Promise<void>,
  ) {
    this.key = taskProcessKey(name, randomUUID());
  }

  /** `running` while one runs, then the worst. */
  get state(): TaskState {
    const states = this.runs.map((run) => run.record.state);
    return (["running", "failed", "lost", "cancelled"] as const).find((state) => states.includes(state)) ?? "done";
  }

  get alive(): boolean {
    return this.state === "running";
  }

  async join(): Promise<void> {
    await Promise.all(this.runs.map((run) => run.settled));
  }

  terminate(): Promise<void> {
    return this.cancel();
  }
}

/** Who did what where. */
function broadcastBundle(name: string, runs: readonly TaskRun[]): MimeBundle {
  return tableBundle({
    title: `Task ${name} on ${String(runs.length)} hosts: ${countStates(runs)}`,
    head: ["HOST", "STATE", "STEP", "TIME", ""],
    rows: runs.map((run) => {
      const { host, state, steps, startedAt, durationMs } = run.record;
      const step = steps.find((one) => one.state !== "done") ?? steps.at(-1);
      const where = step ? `${String(step.index + 1)}/${String(steps.length)} ${oneLine(step.description, 60)}` : "";
      return [host, stateCell(state), where, formatDuration(durationMs ?? Date.now() - startedAt), remark(run)];
    }),
  });
}

/** [bytes] of a host's output in which its last line is looked for. */
const SHOWN_OUTPUT = 400;

/** Why it failed, else what it said last. */
function remark(run: TaskRun): string {
  const { error } = run;
  if (error instanceof TaskExecutionError && error.exitCode !== null) {
    const said = lastLine(error.output);
    return `exit code ${String(error.exitCode)}${said === "" ? "" : `: ${said}`}`;
  }
  if (!error) return lastLine(tailOf(run));
  return oneLine(error.message.replace(`${run.record.host}: `, ""), 200);
}

/** A log that cannot be read is no reason to show nothing. */
function tailOf(run: TaskRun): string {
  try {
    return run.log.tail(null, SHOWN_OUTPUT);
  } catch {
    return "";
  }
}

/** Such as `1 running, 3 done`. */
export function countStates(runs: readonly TaskRun[]): string {
  const counts = new Map<TaskState, number>();
  for (const { record } of runs) counts.set(record.state, (counts.get(record.state) ?? 0) + 1);
  const order = ["running", "done", "failed", "lost", "cancelled"] as const;
  const texts = order.flatMap((state) => (counts.has(state) ? [`${String(counts.get(state))} ${state}`] : []));
  return texts.join(", ") || "nothing executed yet";
}
