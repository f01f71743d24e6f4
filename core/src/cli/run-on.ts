/** A shell script on several hosts at once: `run --group` on the command line, `run --on` in a cell. */
import { formatDuration, oneLine } from "../display";
import { LazyclusterError } from "../errors";
import { Runtime } from "../runtime";
import { RuntimeTask } from "../task";
import { interruptSignal } from "./interrupt";
import { CommandFailure, EXIT, printJson, printTable } from "./output";
import { HostLines } from "./host-lines";
import { hostsOf } from "./hosts";
import { type CommandRecord, capture, recordOf } from "./record";
import { limitOf } from "./seconds";

export interface RunOnOptions {
  on: string;
  workingDir?: string;
  timeout?: string;
  python?: string;
  json?: boolean;
}

/** Gives the highest exit code. */
export async function runOn(script: string, options: RunOnOptions): Promise<number> {
  if (script.trim() === "")
    throw new CommandFailure("There is nothing to run: write a shell script below.", EXIT.usage);
  const hosts = hostsOf(options.on);
  const limit = limitOf(options.timeout);
  const width = Math.max(...hosts.map((host) => host.length));
  const outcomes = await Promise.all(hosts.map((host) => runThere(host, width, script, { ...options, limit })));
  if (options.json) {
    printJson(outcomes);
    return 0;
  }
  printTable(
    ["HOST", "STATE", "EXIT CODE", "DURATION", ""],
    outcomes.map(({ host, state, exitCode, durationMs, error }) => [
      host,
      state,
      exitCode === null ? "" : String(exitCode),
      durationMs === null ? "" : formatDuration(durationMs),
      error === null ? "" : oneLine(error, 300),
    ]),
  );
  return Math.max(...outcomes.map(({ exitCode, error }) => exitCode ?? (error === null ? 0 : EXIT.failed)));
}

async function runThere(
  host: string,
  width: number,
  script: string,
  options: RunOnOptions & { limit: { timeoutMs?: number } },
): Promise<CommandRecord> {
  const task = new RuntimeTask("cell").runCommand(script, {
    check: false,
    ...options.limit,
  });
  const lines = new HostLines(host, width);
  const captured = options.json === true ? capture(task) : null;
  if (!captured) task.on("output", ({ stream, data }) => lines.write(stream, data));
  let error: string | null = null;
  const runtime = new Runtime(host, {
    ...(options.workingDir === undefined ? {} : { workingDir: options.workingDir }),
    ...(options.python === undefined ? {} : { python: options.python }),
  });
  try {
    await runtime.executeTask(task, { signal: interruptSignal() });
  } catch (caught) {
    if (!(caught instanceof LazyclusterError)) throw caught;
    error = caught.message;
  } finally {
    lines.end();
    await runtime.close().catch(() => undefined);
  }
  return recordOf(host, task, captured, error);
}
