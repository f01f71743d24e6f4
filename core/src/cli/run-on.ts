/** A shell script on several hosts at once: `run --group` on the command line, `run --on` in a cell. */
import { formatDuration, oneLine } from "../display";
import { LazyclusterError } from "../errors";
import { Runtime } from "../runtime";
import { RuntimeTask } from "../task";
import { exitCodeOf } from "./exit-code";
import { interruptSignal } from "./interrupt";
import { CommandFailure, EXIT, printJson, printTable } from "./output";
import { HostLines } from "./host-lines";
import { hostsOf } from "./hosts";
import { type CommandRecord, capture, recordOf } from "./record";
import { limitOf } from "./seconds";

export interface RunOnOptions {
  on: string;
  /** What the user calls the option that names the hosts. */
  option?: string;
  workingDir?: string;
  timeout?: string;
  python?: string;
  json?: boolean;
}

/** Gives the highest exit code. */
export async function runOn(script: string, options: RunOnOptions): Promise<number> {
  if (script.trim() === "")
    throw new CommandFailure("There is nothing to run: write a shell script below.", EXIT.usage);
  const hosts = hostsOf(options.on, options.option);
  const limit = limitOf(options.timeout);
  const width = Math.max(...hosts.map((host) => host.length));
  const signal = interruptSignal();
  const outcomes = await Promise.all(hosts.map((host) => runThere(host, width, script, { ...options, limit, signal })));
  const exitCode = Math.max(...outcomes.map(({ code }) => code));
  const records = outcomes.map(({ record }) => record);
  if (options.json) {
    printJson(records);
    return exitCode;
  }
  printTable(
    ["HOST", "STATE", "EXIT CODE", "DURATION", ""],
    records.map(({ host, state, exitCode, durationMs, error }) => [
      host,
      state,
      exitCode === null ? "" : String(exitCode),
      durationMs === null ? "" : formatDuration(durationMs),
      error === null ? "" : oneLine(error, 300),
    ]),
  );
  return exitCode;
}

async function runThere(
  host: string,
  width: number,
  script: string,
  options: RunOnOptions & { limit: { timeoutMs?: number }; signal: AbortSignal },
): Promise<{ readonly record: CommandRecord; readonly code: number }> {
  const task = new RuntimeTask("cell").runCommand(script, {
    check: false,
    ...options.limit,
  });
  const lines = new HostLines(host, width);
  const captured = options.json === true ? capture(task) : null;
  if (!captured) task.on("output", ({ stream, data }) => lines.write(stream, data));
  let error: LazyclusterError | null = null;
  const runtime = new Runtime(host, {
    ...(options.workingDir === undefined ? {} : { workingDir: options.workingDir }),
    ...(options.python === undefined ? {} : { python: options.python }),
  });
  try {
    await runtime.executeTask(task, { signal: options.signal });
  } catch (caught) {
    if (!(caught instanceof LazyclusterError)) throw caught;
    error = caught;
  } finally {
    lines.end();
    await runtime.close().catch(() => undefined);
  }
  const record = recordOf(host, task, captured, error?.message ?? null);
  return { record, code: error ? exitCodeOf(error) : (record.exitCode ?? EXIT.failed) };
}
