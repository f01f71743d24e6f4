/** An engine's journal: a folder with who holds it, and a line per event. Files are the truth after a crash. */
import { closeSync, fstatSync, mkdirSync, openSync, readSync, rmSync, writeFileSync, writeSync } from "fs";
import { join } from "path";
import {
  type Detachment,
  type ExposureChange,
  type ExposureRecord,
  type ExposureStart,
  type TaskChange,
  type TaskRecord,
  applyChange,
  changeExposure,
  isPossible,
  loseExposure,
  startExposure,
  startRecord,
} from "../protocol";
import { ENGINE_FILE, type EngineRecord, JOURNAL_FILE, engineFolders, enginesFolder, readEngine } from "./layout";
import { KEEP_MS, isGoneFor, isLeftOver, lastChange } from "./left-over";
import { fileSystemTime, giveSignsOfLife, signsOfLife } from "./sign-of-life";
import { sweepSockets } from "./sockets";
import { sweepSpools } from "./spool";
import { type Standing, isOurs, standingOf } from "./standing";

/** A line of the journal. */
export type JournalEvent =
  | { readonly time: number; readonly execution: string; readonly start: StartOfTask }
  | { readonly time: number; readonly execution: string; readonly change: TaskChange }
  | { readonly time: number; readonly execution: string; readonly detachment: Detachment }
  | { readonly time: number; readonly exposure: string; readonly opened: ExposureStart }
  | { readonly time: number; readonly exposure: string; readonly change: ExposureChange };
type StartOfTask = Parameters<typeof startRecord>[0];

export class JournalWriter {
  /** Null where it could not be made. */
  private file: number | null = null;
  /** True when the last line is cut off. */
  private torn = false;
  private warned = false;
  /** Lines that leave together. */
  private waiting: JournalEvent[] = [];

  private constructor(
    readonly folder: string,
    private readonly warn: (message: string) => void,
  ) {}

  /**
   * Makes the journal of this process. Also removes journals that are older than a month. Never throws: tasks run
   * without a history too, and `warn` hears of it once.
   */
  static create(engine: EngineRecord, warn: (message: string) => void): JournalWriter {
    const folder = join(enginesFolder(), engine.id);
    const journal = new JournalWriter(folder, warn);
    try {
      // First: who does not see this process shall not take it for one that is gone.
      giveSignsOfLife();
      removeOld();
      sweepSpools();
      sweepSockets();
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      writeFileSync(join(folder, ENGINE_FILE), `${JSON.stringify(engine)}\n`, { mode: 0o600 });
      journal.file = openSync(join(folder, JOURNAL_FILE), "ax", 0o600);
    } catch (error) {
      journal.complain(error);
    }
    return journal;
  }

  /** At once, and all that waits before it. */
  write(event: JournalEvent): void {
    this.waiting.push(event);
    this.flush();
  }

  /** Together with what else happens in this turn of the loop. */
  writeSoon(event: JournalEvent): void {
    if (this.waiting.length === 0) setImmediate(() => this.flush());
    this.waiting.push(event);
  }

  flush(): void {
    const events = this.waiting;
    this.waiting = [];
    if (events.length === 0 || this.file === null) return;
    let written = 0;
    try {
      const lines = events.map((event) => `${JSON.stringify(event)}\n`).join("");
      const line = Buffer.from(`${this.torn ? "\n" : ""}${lines}`, "utf8");
      while (written < line.length) written += writeSync(this.file, line, written);
      this.torn = false;
    } catch (error) {
      this.torn ||= written > 0;
      this.complain(error);
    }
  }

  close(): void {
    this.flush();
    const { file } = this;
    this.file = null;
    try {
      if (file !== null) closeSync(file);
    } catch (error) {
      this.complain(error);
    }
  }

  private complain(error: unknown): void {
    if (this.warned) return;
    this.warned = true;
    this.warn(
      `the journal ${this.folder} cannot be written, so the history of this process has gaps: ${String(error)}. ` +
        `Free some space, or name another folder with LAZYCLUSTER_STATE_DIR.`,
    );
  }
}

/** What a journal tells of an engine. */
export interface EngineHistory {
  readonly folder: string;
  readonly engine: EngineRecord;
  readonly standing: Standing;
  /** It looks after what it has, here or elsewhere. */
  readonly alive: boolean;
  /** In the order of their start. What an engine left running that is gone is `lost`. */
  readonly tasks: readonly TaskRecord[];
  /** In the order in which they were opened. What an engine held that is gone is `lost`. */
  readonly exposures: readonly ExposureRecord[];
  /** By task. */
  readonly detachments: ReadonlyMap<string, Detachment>;
  /** By task, [ms] since the epoch: when this engine began with it. */
  readonly since: ReadonlyMap<string, number>;
}

/** The journals of all engines of this user, the oldest first. A task that was taken over is its last engine's. */
export function readJournals(): EngineHistory[] {
  const histories: EngineHistory[] = [];
  for (const folder of engineFolders()) {
    const engine = readEngine(folder);
    if (engine) histories.push(new JournalReader(folder, engine).read());
  }
  histories.sort((a, b) => a.engine.startedAt - b.engine.startedAt);
  const last = new Map<string, EngineHistory>();
  for (const history of histories) {
    for (const [id, time] of history.since) {
      if (time >= (last.get(id)?.since.get(id) ?? 0)) last.set(id, history);
    }
  }
  return histories.map((history) => ({
    ...history,
    tasks: history.tasks.filter(({ id }) => last.get(id) === history),
  }));
}

/**
 * The engine that looks after a task now, when it is another one than that of the folder; null: none does, or that one, or the
 * journals cannot be read.
 */
export function lastHolder(id: string, folder: string | null): EngineRecord | null {
  try {
    const holder = readJournals().find(({ tasks }) => tasks.some((task) => task.id === id));
    return holder?.alive === true && holder.folder !== folder ? holder.engine : null;
  } catch {
    return null;
  }
}

/** Reads one journal, as often as is wanted: each time only what is new. */
export class JournalReader {
  private offset = 0;
  private readonly tasks = new Map<string, TaskRecord>();
  private readonly since = new Map<string, number>();
  private readonly detachments = new Map<string, Detachment>();
  private readonly exposures = new Map<string, ExposureRecord>();
  private last: EngineHistory | null = null;

  constructor(
    private readonly folder: string,
    private readonly engine: EngineRecord,
  ) {}

  read(): EngineHistory {
    // Asked first: an engine that ends while we read has written everything by then.
    const standing = standingOf(this.engine);
    const alive = isOurs(standing);
    const lines = this.newLines();
    if (this.last?.standing === standing && lines.length === 0) return this.last;
    for (const line of lines) this.apply(line);
    const { folder, engine, detachments, since } = this;
    const tasks = [...this.tasks.values()].map((task) => (alive ? task : orphaned(task)));
    const exposures = [...this.exposures.values()].map((exposure) => (alive ? exposure : loseExposure(exposure)));
    this.last = { folder, engine, standing, alive, tasks, exposures, detachments, since };
    return this.last;
  }

  /** Whole lines; none where there is no journal (yet). */
  private newLines(): string[] {
    let fd: number;
    try {
      fd = openSync(join(this.folder, JOURNAL_FILE), "r");
    } catch {
      // An engine that has just started.
      return [];
    }
    try {
      const bytes = Buffer.alloc(Math.max(0, fstatSync(fd).size - this.offset));
      const count = bytes.length === 0 ? 0 : readSync(fd, bytes, 0, bytes.length, this.offset);
      const whole = bytes.subarray(0, bytes.subarray(0, count).lastIndexOf("\n") + 1);
      this.offset += whole.length;
      return whole.length === 0 ? [] : whole.toString("utf8").split("\n");
    } finally {
      closeSync(fd);
    }
  }

  private apply(line: string): void {
    const event = parseEvent(line);
    if (!event) return;
    if ("exposure" in event) readExposure(this.exposures, event);
    else if ("start" in event) {
      this.tasks.set(event.execution, startRecord(event.start));
      this.since.set(event.execution, event.time);
    } else if ("detachment" in event) this.detachments.set(event.execution, event.detachment);
    else {
      const record = this.tasks.get(event.execution);
      if (record && isPossible(record, event.change))
        this.tasks.set(event.execution, applyChange(record, event.change));
    }
  }
}

/** What happened to one before it was opened is in its start. */
function readExposure(
  exposures: Map<string, ExposureRecord>,
  event: Extract<JournalEvent, { readonly exposure: string }>,
): void {
  const { exposure: id } = event;
  const record = exposures.get(id);
  if ("opened" in event) exposures.set(id, startExposure(event.opened));
  else if (record) exposures.set(id, changeExposure(record, event.change, event.time));
}

/** Null for a line that a crash cut off. */
function parseEvent(line: string): JournalEvent | null {
  if (line === "") return null;
  try {
    return JSON.parse(line) as JournalEvent;
  } catch {
    return null;
  }
}

function orphaned(task: TaskRecord): TaskRecord {
  if (task.state !== "running" || task.detached !== null) return task;
  return applyChange(task, { kind: "end", state: "lost", failure: null, time: task.startedAt });
}

function removeOld(): void {
  const attempt = (remove: () => void): void => {
    try {
      remove();
    } catch {
      // Another engine may be removing the same one.
    }
  };
  for (const folder of engineFolders()) {
    attempt(() => {
      const engine = readEngine(folder);
      const isOld = engine
        ? isGoneFor(KEEP_MS, engine, folder, join(folder, JOURNAL_FILE))
        : fileSystemTime() - lastChange([folder]) > KEEP_MS;
      if (isOld) rmSync(folder, { recursive: true, force: true });
    });
  }
  for (const { name, path } of signsOfLife()) {
    attempt(() => {
      if (isLeftOver(name, path)) rmSync(path, { force: true });
    });
  }
}
