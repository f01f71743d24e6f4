/** What a Runtime or a group was given to do, in that order: the one place that knows its tasks and its port exposures. */
import { InvalidArgumentError, LazyclusterError } from "../errors";
import { GroupError, type HostResult, type ProcessHandle, TaskProcess, type TaskRun, printEntries } from "../task";
import { requireText, show } from "../validate";

interface Entry {
  readonly handle: ProcessHandle;
  /** Null: a port exposure. */
  readonly run: TaskRun | null;
}

export class ProcessList {
  #entries: Entry[] = [];
  /** Counted at each placement, however many have ended. */
  readonly #running = new Set<TaskRun>();

  /** @param where whose it is, for messages. */
  constructor(private readonly where: string) {}

  /** A task may run elsewhere afterwards, or here again: what is kept is this execution of it. */
  addTask(run: TaskRun): void {
    this.#entries.push({ handle: new TaskProcess(run), run });
    this.#running.add(run);
    void run.settled.then(() => this.#running.delete(run));
  }

  /** What is no task, such as a port exposure. */
  add(handle: ProcessHandle): void {
    this.#entries.push({ handle, run: null });
  }

  /** Executions, in the order in which they were started. */
  get runs(): TaskRun[] {
    return this.#entries.flatMap(({ run }) => (run ? [run] : []));
  }

  /** Values of the tasks that are known now, in their order. */
  get functionReturns(): AsyncGenerator<unknown, void, undefined> {
    const { runs } = this;
    return (async function* () {
      for (const run of runs) yield* run.values();
    })();
  }

  /** Of the last task of that name. Throws InvalidArgumentError when none was executed. */
  executionLog(taskName: string): string[] {
    requireText(taskName, "executionLog: the task's name");
    const run = this.runs.filter(({ record }) => record.name === taskName).at(-1);
    if (!run) throw new InvalidArgumentError(`No task ${JSON.stringify(taskName)} was executed on ${this.where}.`);
    return run.entries;
  }

  printLog(): void {
    const { runs } = this;
    if (runs.length === 0) console.log(`No task was executed on ${this.where}.`);
    for (const { record, entries } of runs) printEntries(record.name, record.host, entries);
  }

  /** Forgets what ended. */
  clear(): void {
    this.#entries = this.#entries.filter(({ handle }) => handle.alive);
  }

  /** What each task became, after all ended; never rejects for a task's sake. */
  results(): Promise<HostResult[]> {
    return Promise.all(this.runs.map(resultOf));
  }

  /** Waits for all tasks but those to be omitted. Rejects the error of one, a GroupError of several. */
  async join(): Promise<void> {
    const results = await this.#joined();
    const errors = results.flatMap(({ error }) => (error ? [error] : []));
    if (errors.length === 1 && errors[0]) throw errors[0];
    if (errors.length > 1) throw new GroupError(results);
  }

  /** The same; also the error of one comes as a GroupError. */
  async joinAll(): Promise<void> {
    const results = await this.#joined();
    if (results.some(({ error }) => error)) throw new GroupError(results);
  }

  /** Throws InvalidArgumentError for an unknown key. */
  process(key: string): ProcessHandle {
    const entry = this.#entries.find(({ handle }) => handle.key === key);
    if (!entry)
      throw new InvalidArgumentError(`${this.where}: there is no process ${show(key)}; getProcesses() has them all.`);
    return entry.handle;
  }

  /** By key. */
  processes(onlyAlive: boolean): Map<string, ProcessHandle> {
    const handles = this.#entries.map(({ handle }) => handle).filter(({ alive }) => alive || !onlyAlive);
    return new Map(handles.map((handle) => [handle.key, handle]));
  }

  get taskProcesses(): ProcessHandle[] {
    return this.#entries.flatMap(({ handle, run }) => (run ? [handle] : []));
  }

  get aliveCount(): number {
    return this.#entries.filter(({ handle }) => handle.alive).length;
  }

  get aliveTaskCount(): number {
    return [...this.#running].filter((run) => !run.ended).length;
  }

  #joined(): Promise<HostResult[]> {
    return Promise.all(this.runs.filter(({ task }) => !task.omitOnJoin).map(resultOf));
  }
}

/** What became of one execution, when it has ended. */
export async function resultOf(run: TaskRun): Promise<HostResult> {
  const { host } = run.record;
  const { task } = run;
  try {
    await run.join();
    const values: unknown[] = [];
    for await (const value of run.values()) values.push(value);
    return { host, task, values };
  } catch (error) {
    if (error instanceof LazyclusterError) return { host, task, error };
    throw error;
  }
}
