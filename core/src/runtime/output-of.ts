import { type ExecutionTarget, type RuntimeTask, startExecution } from "../task";

/** What the one command of a task prints on stdout. It is nobody's task, so no list has it. Rejects as its execution. */
export async function outputOf(task: RuntimeTask, target: ExecutionTarget, what: string): Promise<string> {
  await startExecution(task, target, undefined, what).execution;
  const pieces: Buffer[] = [];
  for await (const piece of task.openLog(0, "stdout")) pieces.push(piece);
  return Buffer.concat(pieces).toString("utf8");
}
