import { formatDuration, oneLine } from "../../display";
import type { ExposureRecord, TaskRecord } from "../../engine/protocol";
import { portName } from "../../task";
import { type KnownProcess, isOrphaned, knownProcesses, otherPlace, shortId } from "../processes";
import { printJson, printLine, printTable } from "../output";

/** A line of `--json`. */
export type ProcessRecord = {
  readonly key: string;
  readonly host: string;
  /** It goes on at its host without a process of this user. */
  readonly orphaned: boolean;
  /** The machine of its manager, when that is not this one: there it is cancelled. */
  readonly elsewhere: string | null;
  /** Process id of the manager, and what that calls itself. */
  readonly process: number;
  readonly program: string;
} & (({ readonly kind: "task" } & TaskRecord) | ({ readonly kind: "portExposure" } & ExposureRecord));

/** The tasks that run now, and the ports that are exposed; or all that are known. */
export function ps(options: { all?: boolean; json?: boolean }): void {
  const known = knownProcesses().filter(({ record }) => options.all === true || record.state === "running");
  if (options.json) {
    printJson(known.map(recordOf));
    return;
  }
  if (known.length === 0) {
    printLine(
      options.all
        ? "No task was executed yet, and no port exposed."
        : "No task runs and no port is exposed; `lazycluster ps --all` shows those that ended.",
    );
    return;
  }
  printTable(
    ["ID", "STATE", "HOST", "TASK OR PORT", "STARTED", "DURATION", "PROGRAM"],
    known.map((process) => [
      shortId(process),
      stateOf(process),
      oneLine(process.host, 30),
      process.kind === "task" ? oneLine(process.name, 40) : wayOf(process.record),
      new Date(process.record.startedAt).toISOString().slice(0, 19).replace("T", " "),
      durationOf(process),
      isOrphaned(process) ? "" : program(process),
    ]),
  );
}

function recordOf(known: KnownProcess): ProcessRecord {
  const { key, host, engine } = known;
  const { pid: process, title } = engine.engine;
  const more = { key, host, orphaned: isOrphaned(known), elsewhere: otherPlace(known), process, program: title };
  return known.kind === "task"
    ? { kind: known.kind, ...known.record, ...more }
    : { kind: known.kind, ...known.record, ...more };
}

function stateOf(known: KnownProcess): string {
  if (known.kind === "task" && known.record.cancelWanted) return "cancelling";
  // It runs as far as we know; its host was not asked.
  if (isOrphaned(known)) return "detached";
  return known.kind === "portExposure" && known.record.interrupted !== null ? "interrupted" : known.record.state;
}

/** From where it is listened to where the service is, and who carries it. */
function wayOf({ at, port, to, targetPort, way }: ExposureRecord): string {
  const hands = new Set(way === null ? [] : [way.listener, way.dialer].filter((hand) => hand !== "manager"));
  const by = hands.size === 0 ? "" : ` by ${[...hands].join(" and ")}`;
  return `${oneLine(portName(at, port), 30)} → ${oneLine(portName(to, targetPort), 30)}${by}`;
}

function durationOf({ record }: KnownProcess): string {
  if (record.state === "running") return formatDuration(Date.now() - record.startedAt);
  return formatDuration(record.durationMs ?? 0);
}

function program(known: KnownProcess): string {
  const { title, pid } = known.engine.engine;
  const place = otherPlace(known);
  return `${oneLine(title, 24)} (${String(pid)})${place === null ? "" : ` on ${place}`}`;
}
