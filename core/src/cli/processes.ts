/** What all engines of this user run and hold, from their journals: tasks and port exposures, looked up by id, key or name. */
import { hostname } from "os";
import { oneLine } from "../display";
import { type EngineHistory, JournalReader, readJournals } from "../engine/journal";
import type { ExposureRecord, TaskRecord } from "../engine/protocol";
import { type Execution, portName, portProcessKey, takeOver, taskProcessKey } from "../task";
import { CommandFailure, EXIT } from "./output";

interface Known {
  readonly id: string;
  /** As in `getProcesses()`. */
  readonly key: string;
  /** For people. */
  readonly name: string;
  readonly host: string;
  readonly engine: EngineHistory;
}
export interface KnownTask extends Known {
  readonly kind: "task";
  readonly record: TaskRecord;
}
export interface KnownExposure extends Known {
  readonly kind: "portExposure";
  readonly record: ExposureRecord;
}
export type KnownProcess = KnownTask | KnownExposure;

/** The oldest first. */
export function knownProcesses(): KnownProcess[] {
  const all = readJournals().flatMap((engine): KnownProcess[] => [
    ...engine.tasks.map((record) => knownTask(record, engine)),
    ...engine.exposures.map((record) => knownExposure(record, engine)),
  ]);
  return all.sort((a, b) => a.record.startedAt - b.record.startedAt);
}

/** The short form of an id that `ps` shows. */
export function shortId({ id }: KnownProcess): string {
  return id.slice(0, 8);
}

/** True when it goes on at its host, and no process of this user looks after it. */
export function isOrphaned({ record, engine }: KnownProcess): boolean {
  return record.state === "running" && !engine.alive;
}

/** The machine or container that has what runs, when that is not this one; null: none, or this one. */
export function otherPlace(known: KnownProcess): string | null {
  return known.record.state === "running" && known.engine.standing === "elsewhere" ? foreignPlace(known) : null;
}

/** The machine or container whose process has it, or had it last; null: this one. */
export function foreignPlace({ engine }: KnownProcess): string | null {
  if (engine.standing === "alive" || engine.standing === "dead") return null;
  const name = oneLine(engine.engine.hostname, 30);
  // Containers may share the name of their machine.
  return name === hostname() ? `another container of ${name}` : name;
}

/**
 * Looks after it from here, when nobody does; null when somebody does, or it has ended. Throws LazyclusterError.
 *
 * @param force also when a process of another machine does, as far as is known here
 */
export function adopt(known: KnownTask, force = false): Execution | null {
  const forced = force && otherPlace(known) !== null && known.record.detached !== null;
  return forced || isOrphaned(known) ? takeOver(known.engine, known.id, forced) : null;
}

/** A task as its journal tells it, for who looks again and again. */
export class TaskWatch {
  private reader: JournalReader;

  constructor(private known: KnownTask) {
    this.reader = readerOf(known);
  }

  /** How it stands now. Another process may look after it meanwhile. */
  look(): KnownTask {
    const { id } = this.known;
    const history = this.reader.read();
    const record = history.tasks.find((task) => task.id === id);
    if (record) this.known = knownTask(record, history);
    if (isOrphaned(this.known)) {
      const { folder } = this.known.engine;
      this.known = findTask(id);
      if (this.known.engine.folder !== folder) this.reader = readerOf(this.known);
    }
    return this.known;
  }
}

function readerOf({ engine }: KnownTask): JournalReader {
  return new JournalReader(engine.folder, engine.engine);
}

/** By the beginning of its id, by its key, or by its name: then the latest one. Throws CommandFailure. */
export function findProcess(wanted: string): KnownProcess {
  requireName(wanted);
  const one = search(knownProcesses(), wanted);
  if (!one) throw unknown("task or port exposure", wanted);
  return one;
}

/** The same, of tasks alone. */
export function findTask(wanted: string): KnownTask {
  requireName(wanted);
  const all = knownProcesses();
  const tasks = all.flatMap((known) => (known.kind === "task" ? [known] : []));
  const task = search(tasks, wanted);
  if (task) return task;
  const other = search(all, wanted);
  if (!other) throw unknown("task", wanted);
  throw new CommandFailure(`${other.name} is a port exposure, which prints nothing.`, EXIT.failed);
}

function search<K extends KnownProcess>(all: readonly K[], wanted: string): K | undefined {
  const exactly = all.filter(({ id, key }) => id.startsWith(wanted) || key === wanted);
  if (exactly.length > 1) {
    throw new CommandFailure(
      `${wanted} is the beginning of ${String(exactly.length)} ids: write more of it.`,
      EXIT.usage,
    );
  }
  return exactly[0] ?? all.filter(({ name }) => name === wanted).at(-1);
}

/** Such as `"$UNSET"`: it is the beginning of every id. */
function requireName(wanted: string): void {
  if (wanted.trim() !== "") return;
  throw new CommandFailure("The name is empty: `lazycluster ps` shows ids, keys and names.", EXIT.usage);
}

function unknown(what: string, wanted: string): CommandFailure {
  return new CommandFailure(
    `There is no ${what} ${JSON.stringify(wanted)}; \`lazycluster ps --all\` shows all.`,
    EXIT.failed,
  );
}

function knownTask(record: TaskRecord, engine: EngineHistory): KnownTask {
  const { id, name, host } = record;
  return { kind: "task", id, key: taskProcessKey(name, id), name, host, record, engine };
}

/** Its host is that to which, or from which, a port is exposed. */
function knownExposure(record: ExposureRecord, engine: EngineHistory): KnownExposure {
  const { id, at, to, port } = record;
  const name = portName(at, port);
  return {
    kind: "portExposure",
    id,
    key: portProcessKey(name, id),
    name,
    host: at ?? to ?? "localhost",
    record,
    engine,
  };
}
