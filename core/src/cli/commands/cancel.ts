import { setTimeout as pause } from "timers/promises";
import { NoAnswer, cancelElsewhere } from "../../engine/client";
import { isOurs, standingOf } from "../../engine/journal";
import { EngineFailure } from "../../engine/protocol";
import { errorFromFailure } from "../../errors";
import { type Execution, TaskExecutionError } from "../../task";
import { type KnownProcess, adopt, findProcess, isOrphaned, otherPlace, shortId } from "../processes";
import { CommandFailure, EXIT, printJson, printLine } from "../output";

/** [ms] for which another process may be about to look after it. */
const PATIENCE_MS = 20_000;
/** [ms] between two looks. */
const LOOK_MS = 200;

/** Ends a task or a port exposure of any process of this user; returns when that is confirmed. */
export async function cancel(wanted: string, options: { json?: boolean; force?: boolean }): Promise<void> {
  const known = findProcess(wanted);
  const { id, key, kind, record } = known;
  if (record.state !== "running") {
    throw new CommandFailure(`${nameOf(known)} does not run: it is ${record.state}.`, EXIT.failed);
  }
  const cancelled = await end(known, options.force === true);
  if (options.json) printJson({ id, key, kind, cancelled });
  else printLine(cancelled ? `${nameOf(known)} has ended.` : "It had ended already.");
}

function nameOf(known: KnownProcess): string {
  const what = known.kind === "task" ? `Task ${JSON.stringify(known.name)}` : `The port exposure on ${known.name}`;
  return `${what} (${shortId(known)})`;
}

/** False when it had ended before. Who looks after it may change meanwhile. */
async function end(known: KnownProcess, force: boolean): Promise<boolean> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let now = known; now.record.state === "running"; now = findProcess(known.id)) {
    const execution = now.kind === "task" ? adopt(now) : null;
    if (execution) return ended(execution);
    if (!isOrphaned(now)) {
      try {
        return await cancelElsewhere(now.engine.engine.controlSocket, now.id);
      } catch (error) {
        if (error instanceof EngineFailure) throw errorFromFailure(error.data);
        if (!(error instanceof NoAnswer)) throw error;
        const forced = force && now.kind === "task" ? adopt(now, true) : null;
        if (forced) return ended(forced);
        if (isOurs(standingOf(now.engine.engine))) throw unanswered(now, error);
      }
    }
    if (performance.now() > deadline) {
      throw new CommandFailure(
        `${nameOf(now)} on ${now.host} was not cancelled: another process has been about to look after it for ` +
          `${String(PATIENCE_MS)} ms. Try again, or end that one: a \`lazycluster logs\`, \`attach\` or \`cancel\`.`,
        EXIT.failed,
      );
    }
    await pause(LOOK_MS);
  }
  return false;
}

/** False when it had ended before. Rejects LazyclusterError when its host cannot be asked. */
async function ended(execution: Execution): Promise<boolean> {
  const { task } = execution;
  // How else it may have ended is its record's to tell.
  void execution.catch(() => undefined);
  await execution.cancel();
  if (task.error && task.state !== "cancelled" && !(task.error instanceof TaskExecutionError)) throw task.error;
  return task.state === "cancelled";
}

function unanswered(known: KnownProcess, { message }: NoAnswer): CommandFailure {
  const { pid, title } = known.engine.engine;
  const goesOn = known.kind === "task" && known.record.detached !== null;
  const place = otherPlace(known);
  if (place !== null) {
    const command = `lazycluster cancel ${shortId(known)}`;
    const force = goesOn ? `; or take it over from there, and end it from here: \`${command} --force\`` : "";
    return new CommandFailure(
      `${nameOf(known)} on ${known.host} was not cancelled: process ${String(pid)} (${title}) on ${place} looks after it, and cannot ` +
        `be reached from here. Call \`${command}\` there${force}.`,
      EXIT.failed,
    );
  }
  const then = goesOn
    ? `; \`lazycluster cancel ${shortId(known)}\` then ends the task from here`
    : ", which ends it, too";
  return new CommandFailure(
    `${nameOf(known)} on ${known.host} was not cancelled: process ${String(pid)} (${title}), which looks after it, does not ` +
      `answer: ${message}. If it is stopped, let it go on (kill -CONT ${String(pid)}); or end it (kill -KILL ${String(pid)})${then}.`,
    EXIT.failed,
  );
}
