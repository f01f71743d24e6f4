import type { TaskState } from "../engine/protocol";
import type { Run } from "./run";

/** A task execution or a port exposure. */
export interface ProcessHandle {
  readonly key: string;
  readonly kind: "task" | "portExposure";
  readonly host: string | null;
  /** Process id on the host; null before it is known, and of a port exposure. */
  readonly pid: number | null;
  readonly state: TaskState;
  readonly alive: boolean;
  readonly exitCode: number | null;
  /** Resolves when it ended; never rejects. */
  join(): Promise<void>;
  /** Ends it and all its children; resolves when confirmed. */
  terminate(): Promise<void>;
}

const TASK_PREFIX = "task::";
const PORT_PREFIX = "port::";

export function taskProcessKey(name: string, id: string): string {
  return `${TASK_PREFIX}${name}::${id}`;
}

/** What a port is called, for people. @param host null: the manager */
export function portName(host: string | null, port: number): string {
  return `${host ?? "localhost"}:${String(port)}`;
}

export function portProcessKey(name: string, id: string): string {
  return `${PORT_PREFIX}${name}::${id}`;
}

export function isTaskKey(key: string): boolean {
  return key.startsWith(TASK_PREFIX);
}

export function isPortKey(key: string): boolean {
  return key.startsWith(PORT_PREFIX);
}

/** The process of one execution. */
export class TaskProcess implements ProcessHandle {
  readonly kind = "task";
  readonly key: string;
  readonly host: string;

  constructor(private readonly run: Run) {
    this.key = taskProcessKey(run.record.name, run.record.id);
    this.host = run.record.host;
  }

  get pid(): number | null {
    return this.run.record.pid;
  }

  get state(): TaskState {
    return this.run.record.state;
  }

  get alive(): boolean {
    return this.run.record.state === "running";
  }

  /** Of the last step that was a process and ended by itself. */
  get exitCode(): number | null {
    return (
      this.run.record.steps
        .map((step) => step.exitCode)
        .filter((code) => code !== null)
        .at(-1) ?? null
    );
  }

  join(): Promise<void> {
    return this.run.settled;
  }

  terminate(): Promise<void> {
    return this.run.cancel();
  }
}
