/** `send`, `get` and `sync`: one transfer, with its progress on a terminal. */
import { formatBytes, formatDuration, transferText } from "../../display";
import { TaskExecutionError, RuntimeTask } from "../../task";
import { Runtime } from "../../runtime";
import { notebookCommand } from "../context";
import { exitCodeOf } from "../exit-code";
import { interruptSignal } from "../interrupt";
import { CommandFailure, printJson, printLine } from "../output";

export interface TransferCommandOptions {
  workingDir?: string;
  python?: string;
  verify?: boolean;
  resume?: boolean;
  json?: boolean;
}
export interface SyncCommandOptions extends TransferCommandOptions {
  down?: boolean;
  delete?: boolean;
  dryRun?: boolean;
}

const CLEAR_LINE = "\r\u001b[K";

export function send(
  host: string,
  local: string,
  remote: string | undefined,
  options: TransferCommandOptions,
): Promise<number> {
  return transfer(host, options, new RuntimeTask("send").sendFile(local, remote, ofTransfer(options)), "sent");
}

export function get(
  host: string,
  remote: string,
  local: string | undefined,
  options: TransferCommandOptions,
): Promise<number> {
  return transfer(host, options, new RuntimeTask("get").getFile(remote, local, ofTransfer(options)), "fetched");
}

export function sync(
  host: string,
  local: string,
  remote: string | undefined,
  options: SyncCommandOptions,
): Promise<number> {
  const task = new RuntimeTask("sync").syncFolder(local, remote, {
    ...ofTransfer(options),
    direction: options.down ? "down" : "up",
    delete: options.delete === true,
    dryRun: options.dryRun === true,
  });
  return transfer(host, options, task, "synced");
}

function ofTransfer({ verify, resume }: TransferCommandOptions): { verify?: "hash"; resume: boolean } {
  return { ...(verify ? { verify: "hash" as const } : {}), resume: resume === true };
}

async function transfer(
  host: string,
  options: TransferCommandOptions,
  task: RuntimeTask,
  done: string,
): Promise<number> {
  const runtime = new Runtime(host, {
    workingDir: options.workingDir ?? "~",
    ...(options.python === undefined ? {} : { python: options.python }),
  });
  const bar = process.stderr.isTTY && !options.json && !notebookCommand();
  let bytes = 0;
  task.on("progress", (progress) => {
    ({ bytes } = progress);
    if (bar) process.stderr.write(CLEAR_LINE + transferText(progress, true));
  });
  try {
    await runtime.executeTask(task, { signal: interruptSignal() });
  } catch (error) {
    throw error instanceof TaskExecutionError ? new CommandFailure(error.message, exitCodeOf(error)) : error;
  } finally {
    if (bar) process.stderr.write(CLEAR_LINE);
    await runtime.close().catch(() => undefined);
  }
  const log = (task.executionLog[0] ?? "").trimEnd();
  if (options.json) printJson({ host, bytes, durationMs: task.durationMs, log });
  else {
    if (log !== "") printLine(log);
    printLine(`${done} ${formatBytes(bytes)} in ${formatDuration(task.durationMs ?? 0)}`);
  }
  return 0;
}
