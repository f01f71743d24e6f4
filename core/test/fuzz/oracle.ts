/** What must hold of every task, whatever was done to it. Each check says what is wrong, or nothing. */
import { LazyclusterError, TaskExecutionError } from "../support";
import { bytesOf, hashesOf, readTree, sha256, treeOf } from "./bytes";
import type { StepPlan } from "./plan";
import { type Disturbance, type RoundRecord, type TaskOutcome, placeOf } from "./record";
import { type Expected, type Surroundings, expectedOf, isProcess, stepId } from "./steps";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Evidence {
  readonly record: RoundRecord;
  readonly surroundings: (outcome: TaskOutcome) => Surroundings;
  /** By place: lines of its ledger. */
  readonly ledger: (outcome: TaskOutcome) => readonly string[];
  /** What the journal says of an execution: the states with which it ended. */
  readonly journal: (id: string) => readonly string[];
}

/** The first thing that is wrong with a round, all of whose tasks should have ended. */
export async function judgeRound(evidence: Evidence): Promise<string | null> {
  const { record } = evidence;
  const [surprise] = record.surprises;
  if (surprise !== undefined) return surprise;
  for (const outcome of record.tasks) {
    const wrong = await judgeTask(outcome, evidence);
    if (wrong !== null) return `${outcome.plan.name} on ${placeOf(record.plan, outcome.plan.runtime)}: ${wrong}`;
  }
  for (const { plan, startedAt, endedAt, error } of record.exposures) {
    const name = `${plan.name} of ${placeOf(record.plan, plan.runtime)}`;
    if (endedAt === null) return `${name}: never came to an end`;
    const allowed = touching(record, plan.runtime, null, startedAt, endedAt).length > 0;
    if (error !== null && !allowed) return `${name}: ${said(error)}`;
  }
  return null;
}

async function judgeTask(outcome: TaskOutcome, evidence: Evidence): Promise<string | null> {
  const { task, plan } = outcome;
  if (outcome.endedAt === null) return `never ended: it is ${task.state}, ${JSON.stringify(task.steps)}`;
  const expected = plan.steps.map(expectedOf);
  return (
    judgeEnd(outcome, expected, evidence) ??
    judgeSettling(outcome, evidence) ??
    (await judgeLogs(outcome, expected)) ??
    judgeLedger(outcome, evidence) ??
    judgeValues(outcome, evidence) ??
    judgeFetched(outcome, evidence)
  );
}

/** Whether it may have ended like this. */
function judgeEnd(outcome: TaskOutcome, expected: readonly Expected[], { record }: Evidence): string | null {
  const { plan, task, startedAt } = outcome;
  const end = endOf(outcome);
  const may = naturalEnds(expected);
  if (outcome.stop) {
    may.add("cancelled");
    if (plan.stop?.afterMs === -1) return end === "cancelled" ? null : `was aborted before it began, and is ${end}`;
  }
  const disturbed = touching(record, plan.runtime, plan.session, startedAt, outcome.endedAt!);
  const kinds = new Set(disturbed.map(({ kind }) => kind));
  if (kinds.has("close") && !plan.detach) may.add("cancelled");
  if (kinds.has("broken")) for (const way of ["lost", "ERR_CONNECTION", "ERR_INVALID_RUNTIME"]) may.add(way);
  // Of a session that was interrupted, ended, or whose process others had to end.
  if (plan.session !== null && (kinds.size > 0 || othersEnded(record, outcome))) may.add("failed@0");
  if (may.has(end)) {
    return end === "cancelled" && !kinds.has("broken") && /did not confirm/.test(task.error?.message ?? "")
      ? `its end was not confirmed: ${task.error?.message ?? ""}`
      : null;
  }
  const why = disturbed.map(({ kind, from }) => `${kind} at ${from.toFixed(0)} ms`).join(", ") || "nothing";
  return `ended as ${end}, which is none of ${[...may].join(", ")}; ${why} disturbed it. ${said(task.error)}`;
}

/** A cell that does not react to its end takes the process of the session with it. */
function othersEnded(record: RoundRecord, { plan, startedAt, endedAt }: TaskOutcome): boolean {
  return record.tasks.some(
    (other) =>
      other.plan.session === plan.session &&
      other.plan.runtime === plan.runtime &&
      other.startedAt <= endedAt! &&
      (other.endedAt ?? Infinity) >= startedAt &&
      other.task.error !== null &&
      other.task.error.message.includes("variables are gone"),
  );
}

/** `done`, `failed@1` (with the step), `timeout@0`, `cancelled`, `lost`, or the code of what kept it from starting. */
function endOf({ task }: TaskOutcome): string {
  const { error, state } = task;
  if (state !== "failed") return state;
  if (!(error instanceof TaskExecutionError)) return error?.code ?? "failed without an error";
  return `${error.reason}@${error.stepIndex}`;
}

function naturalEnds(expected: readonly Expected[]): Set<string> {
  const ends = new Set<string>();
  for (const [index, { natural }] of expected.entries()) {
    for (const way of natural) if (way !== "done") ends.add(`${way}@${index}`);
    if (!natural.includes("done")) return ends;
  }
  return ends.add("done");
}

/** What happened to its place, its runtime or its session while it ran, or so shortly before that it could not be known. */
function touching(
  { disturbances, plan }: RoundRecord,
  runtime: number,
  session: string | null,
  from: number,
  until: number,
): Disturbance[] {
  const place = placeOf(plan, runtime);
  return disturbances.filter((one) => {
    if (one.from > until) return false;
    if (one.kind === "broken") return one.place === place && one.until >= from - NOTICED_MS;
    return one.runtime === runtime && (one.kind === "close" || one.session === session) && one.until >= from;
  });
}

/** [ms] after which a connection that was killed is known to be gone. */
const NOTICED_MS = 10_000;

/** Once, with the same answer to everybody. */
function judgeSettling(outcome: TaskOutcome, { journal }: Evidence): string | null {
  const { task, ends, stop, error } = outcome;
  if (ends !== 1) return `its end came ${ends} times`;
  if (error !== task.error) return `its promise rejected with ${said(error)}, and its error is ${said(task.error)}`;
  if (error !== null && !(error instanceof LazyclusterError)) return `rejected with ${said(error)}`;
  if ((task.state === "done") !== (error === null)) return `is ${task.state}, and its error ${said(error)}`;
  if (outcome.readerError !== null) return `its log could not be read: ${said(outcome.readerError)}`;
  if (stop) {
    if (stop.error !== null) return `its stop rejected: ${said(stop.error)}`;
    if (stop.tookMs === null) return "its stop was never confirmed";
    if (stop.state === "running" && outcome.plan.stop?.afterMs !== -1) return "it ran when its stop was confirmed";
  }
  const states = journal(outcome.id);
  if (states.length !== 1 || states[0] !== task.state) return `is ${task.state}; the journal has ${states.join(", ")}`;
  const running = task.steps.find(({ state }) => state === "running");
  return running ? `step ${running.index} still runs` : null;
}

/** Byte for byte what was printed, or the beginning of it where it was ended. */
async function judgeLogs(outcome: TaskOutcome, expected: readonly Expected[]): Promise<string | null> {
  const { task, heard, plan } = outcome;
  const whole: Buffer[] = [];
  for (const [index, { stdout, stderr, summary, natural }] of expected.entries()) {
    const { state } = task.steps[index]!;
    // Its own end lets all of the output come; another one does not.
    const complete =
      state === "done" || (state === "failed" && natural.join() === "failed" && endOf(outcome) === `failed@${index}`);
    for (const [stream, should] of [
      ["stdout", stdout],
      ["stderr", stderr],
    ] as const) {
      const is = await readAll(task.openLog(index, stream));
      whole.push(is);
      const told = heard.get(`${index} ${stream}`);
      if (plan.reader === "event" && !Buffer.concat(told ?? []).equals(is))
        return `step ${index}: a listener of ${stream} heard something else: ${difference(Buffer.concat(told ?? []), is)}`;
      if (summary || isTraceback(plan.steps[index]!, stream)) continue;
      const own = complete || stream === "stdout" ? is : withoutLastWords(is);
      if (complete ? !own.equals(should) : !should.subarray(0, own.length).equals(own))
        return `step ${index} (${state}): wrong ${stream}: ${difference(is, should)}`;
    }
  }
  const size = whole.reduce((sum, { length }) => sum + length, 0);
  const file = readFileSync(task.executionLogFilePath!).length;
  if (file !== size) return `its log file has ${file} bytes, its streams ${size}`;
  const read = Buffer.concat(heard.get("all") ?? []).length;
  if (plan.reader.endsWith("log") && read !== size) return `its reader got ${read} of ${size} bytes`;
  return null;
}

/** What raises in an interpreter of its own may say so on stderr. */
function isTraceback(step: StepPlan, stream: "stdout" | "stderr"): boolean {
  return stream === "stderr" && (step.kind === "cell" || (step.kind === "function" && step.end !== "value"));
}

/** A shell whose program is ended from outside says so, if it comes to that. */
function withoutLastWords(stderr: Buffer): Buffer {
  return Buffer.from(stderr.toString("latin1").replace(/^.*\b(Terminated|Killed|Hangup)\b.*\n/gm, ""), "latin1");
}

function difference(is: Buffer, should: Buffer): string {
  let at = 0;
  while (at < is.length && at < should.length && is[at] === should[at]) at += 1;
  const shown = (bytes: Buffer): string => JSON.stringify(bytes.subarray(at, at + 60).toString("latin1"));
  return `${is.length} bytes instead of ${should.length}; at ${at} ${shown(is)} instead of ${shown(should)}`;
}

/** Each step started at most once; those that ended by themselves did; none did before its turn. */
function judgeLedger(outcome: TaskOutcome, { ledger }: Evidence): string | null {
  const lines = ledger(outcome);
  for (const [index, step] of outcome.plan.steps.entries()) {
    if (!isProcess(step)) continue;
    const id = stepId(outcome.plan, index);
    const count = lines.filter((line) => line === id).length;
    const { state } = outcome.task.steps[index]!;
    if (count > 1) return `step ${index} started ${count} times`;
    if (state === "done" && count !== 1) return `step ${index} is done, and never started`;
    if (state === "new" && count !== 0 && !outcome.plan.detach) return `step ${index} started, and is new`;
  }
  return null;
}

function judgeValues(outcome: TaskOutcome, { record }: Evidence): string | null {
  const { values, plan } = outcome;
  if (values === null) return null;
  const givers = plan.steps.flatMap((step, index) =>
    step.kind === "function" || step.kind === "cell" ? [{ step, id: stepId(plan, index) }] : [],
  );
  if (values.length !== givers.length) return `gave ${values.length} values instead of ${givers.length}`;
  for (const [index, { step, id }] of givers.entries()) {
    const value = values[index];
    if (step.kind === "cell") {
      const wrong = judgeCells(value, outcome, step.number, record);
      if (wrong !== null) return wrong;
      continue;
    }
    const { id: its, blob, lines } = value as { id: string; blob: Uint8Array; lines: unknown };
    if (its !== id || Number(lines) !== step.lines) return `gave ${its} with ${String(lines)} lines instead of ${id}`;
    if (!Buffer.from(blob).equals(bytesOf(step.bytes, step.seed)))
      return `${id} gave ${difference(Buffer.from(blob), bytesOf(step.bytes, step.seed))}`;
  }
  return null;
}

/** The cells that ran in this process of the session: in order, each once, and all of them unless something ended the process. */
function judgeCells(value: unknown, outcome: TaskOutcome, number: number, record: RoundRecord): string | null {
  const { plan } = outcome;
  const seen = (value as unknown[]).map(Number);
  const ordered = seen.every((one, index) => index === 0 || one > seen[index - 1]!);
  if (!ordered || seen.at(-1) !== number) return `its session ran the cells ${seen.join(", ")}`;
  const others = record.tasks.filter(
    (other) =>
      other.plan.session === plan.session && other.plan.runtime === plan.runtime && other.task.state === "done",
  );
  const undisturbed =
    touching(record, plan.runtime, plan.session, 0, outcome.endedAt!).length === 0 &&
    !others.some((other) => othersEnded(record, other));
  const missing = others
    .map((other) => (other.plan.steps[0] as Extract<StepPlan, { kind: "cell" }>).number)
    .filter((other) => other < number && !seen.includes(other));
  return undisturbed && missing.length > 0 ? `its session has lost the cells ${missing.join(", ")}` : null;
}

/** A file that was fetched is whole, or not there. */
function judgeFetched(outcome: TaskOutcome, { surroundings }: Evidence): string | null {
  const { fetched } = surroundings(outcome);
  for (const [index, step] of outcome.plan.steps.entries()) {
    const done = outcome.task.steps[index]!.state === "done";
    if (step.kind === "get") {
      const path = join(fetched, step.name);
      if (!existsSync(path)) {
        if (done) return `step ${index}: nothing was fetched`;
      } else if (sha256(readFileSync(path)) !== sha256(bytesOf(step.bytes, step.seed)))
        return `step ${index}: what was fetched is not what was sent`;
    }
    if (step.kind !== "getFolder" && step.kind !== "syncDown") continue;
    const is = readTree(join(fetched, step.name));
    const should = hashesOf(treeOf(step.files, step.seed));
    const wrong = is === null ? [] : [...is].filter(([name, hash]) => should.get(name) !== hash);
    if (wrong.length > 0) return `step ${index}: wrong files were fetched: ${wrong.map(([name]) => name).join(", ")}`;
    if (done && is?.size !== should.size) return `step ${index}: ${is?.size ?? 0} files came instead of ${should.size}`;
  }
  return null;
}

async function readAll(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

function said(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: string };
  return `${error.name} ${code ?? ""}: ${error.message}`;
}
