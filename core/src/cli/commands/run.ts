import { createHash } from "crypto";
import { log } from "../../environment";
import { InvalidRuntimeError } from "../../errors";
import { TaskExecutionError, RuntimeTask } from "../../task";
import { Runtime } from "../../runtime";
import { exitCodeOf } from "../exit-code";
import { interruptSignal } from "../interrupt";
import { EXIT, printJson, printLine } from "../output";
import { type Capture, capture, recordOf } from "../record";
import { limitOf } from "../seconds";

export interface RunOptions {
  workingDir?: string;
  python?: string;
  timeout?: string;
  pty?: boolean;
  stdin?: boolean;
  json?: boolean;
  detach?: boolean;
}

/** Runs a command on a host; its output and exit code become those of this process. */
export async function run(host: string, words: readonly string[], options: RunOptions): Promise<number> {
  // The words are joined as ssh joins them: what the user typed is a shell command already.
  const command = words.join(" ");
  const signal = interruptSignal();
  const task = new RuntimeTask(`run-${createHash("sha256").update(command).digest("hex").slice(0, 8)}`).runCommand(
    command,
    {
      // Later, its exit code is known by its failure.
      check: options.detach === true,
      ...(options.pty ? { pty: true } : {}),
      ...limitOf(options.timeout),
      ...(options.stdin ? { stdin: await readAll(process.stdin) } : {}),
    },
  );
  const captured = options.json === true && !options.detach ? capture(task) : null;
  if (!options.json && !options.detach) task.on("output", ({ stream, data }) => process[stream].write(data));
  const runtime = new Runtime(host, {
    workingDir: options.workingDir ?? "~",
    ...(options.python === undefined ? {} : { python: options.python }),
  });
  try {
    const execution = runtime.executeTask(task, { signal, detach: options.detach === true });
    if (options.detach) {
      await execution.detached();
      const id = execution.process.key.split("::").at(-1) ?? "";
      if (options.json) printJson({ host, id, task: task.name });
      else printLine(id);
      return 0;
    }
    await execution;
    return report(host, task, captured, null);
  } catch (error) {
    if (!(error instanceof TaskExecutionError)) throw error;
    if (captured) report(host, task, captured, error.message);
    else process.stderr.write(`lazycluster: ${error.message}\n`);
    return exitCodeOf(error);
  } finally {
    await runtime.close().catch((error: unknown) => {
      // What the command gave is known; that the host went away afterwards changes nothing about it.
      if (!(error instanceof InvalidRuntimeError)) throw error;
      log("debug", error.message);
    });
  }
}

function report(host: string, task: RuntimeTask, captured: Capture | null, error: string | null): number {
  if (captured) printJson(recordOf(host, task, captured, error));
  return task.steps[0]?.exitCode ?? EXIT.failed;
}

async function readAll(stream: NodeJS.ReadStream): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces);
}
