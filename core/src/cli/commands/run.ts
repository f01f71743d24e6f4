import { createHash } from "crypto";
import { log } from "../../environment";
import { InvalidRuntimeError, TaskExecutionError } from "../../errors";
import { Runtime } from "../../runtime";
import { RuntimeTask } from "../../task";
import { interruptSignal } from "../interrupt";
import { EXIT, printJson, printLine } from "../output";

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
      ...(options.timeout === undefined ? {} : { timeoutMs: Number(options.timeout) * 1000 }),
      ...(options.stdin ? { stdin: await readAll(process.stdin) } : {}),
    },
  );
  const captured: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  if (!options.detach) {
    task.on("output", ({ stream, data }) => {
      if (options.json) captured[stream].push(data);
      else process[stream].write(data);
    });
  }
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
    return report(task, captured, options);
  } catch (error) {
    if (!(error instanceof TaskExecutionError)) throw error;
    if (options.json) report(task, captured, options);
    else process.stderr.write(`lazycluster: ${error.message}\n`);
    return error.reason === "cancelled" ? EXIT.interrupted : error.reason === "lost" ? EXIT.hostUnusable : EXIT.failed;
  } finally {
    await runtime.close().catch((error: unknown) => {
      // What the command gave is known; that the host went away afterwards changes nothing about it.
      if (!(error instanceof InvalidRuntimeError)) throw error;
      log("debug", error.message);
    });
  }
}

function report(task: RuntimeTask, captured: Record<"stdout" | "stderr", Buffer[]>, options: RunOptions): number {
  const step = task.steps[0];
  if (options.json) {
    printJson({
      host: task.host,
      state: task.state,
      exitCode: step?.exitCode ?? null,
      signal: step?.signal ?? null,
      durationMs: task.durationMs,
      stdout: Buffer.concat(captured.stdout).toString("utf8"),
      stderr: Buffer.concat(captured.stderr).toString("utf8"),
      logFile: task.executionLogFilePath,
    });
  }
  return step?.exitCode ?? EXIT.failed;
}

async function readAll(stream: NodeJS.ReadStream): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces);
}
