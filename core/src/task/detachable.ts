/** Tasks that outlive their process: what may be in them. Pure. */
import type { StepSpec } from "../engine/protocol";
import { InvalidArgumentError } from "../errors";

/** The host goes on without the manager, so files are sent before, and fetched after. Throws InvalidArgumentError. */
export function requireDetachable(steps: readonly StepSpec[], what: string): void {
  const isProcess = (step: StepSpec): boolean => step.kind === "runCommand" || step.kind === "runFunction";
  const first = steps.findIndex(isProcess);
  const last = steps.length - 1 - [...steps].reverse().findIndex(isProcess);
  if (first < 0) {
    throw new InvalidArgumentError(`${what}: only a task with a command or a function can be detached.`);
  }
  for (const [index, step] of steps.entries()) {
    if (step.kind === "runFunction" && step.session !== null) {
      throw new InvalidArgumentError(
        `${what}: step ${String(index)} (${step.description}) runs in a session, which ends with its connection; a detached task outlives it.`,
      );
    }
    if (isProcess(step)) continue;
    if (index > first && index < last) {
      throw new InvalidArgumentError(
        `${what}: a detached task sends files first and fetches them last, but step ${String(index)} (${step.description}) stands between. ` +
          "The host could not go on without the manager there: make two tasks of it.",
      );
    }
  }
}
