/** `%%lazycluster python --on all`: Python on each host, in sessions in which variables persist between cells. */
import { inspect } from "util";
import { type MimeBundle, bundleOf, escapeHtml, notebookHost, oneLine } from "../../display";
import { Environment } from "../../environment";
import { LazyclusterError } from "../../errors";
import { TaskExecutionError, type RuntimeTask } from "../../task";
import { Runtime, type Session } from "../../runtime";
import { interruptSignal } from "../interrupt";
import { CommandFailure, EXIT, printJson } from "../output";
import { HostLines } from "../host-lines";
import { hostsOf } from "../hosts";
import { limitOf } from "../seconds";

export interface PythonOptions {
  on: string;
  name?: string;
  session?: string;
  python?: string;
  timeout?: string;
}

const DEFAULT_SESSION = "notebook";

/** One for each host of an ssh config, for all cells of the notebook; they end with the process. */
const runtimes = new Map<string, Runtime>();

/** Shows what each host shows; the values by host are the data. Throws CommandFailure that names who failed. */
export async function python(code: string, options: PythonOptions): Promise<void> {
  if (code.trim() === "") throw new CommandFailure("There is nothing to run: write Python below.", EXIT.usage);
  const hosts = hostsOf(options.on);
  const limit = limitOf(options.timeout);
  const width = Math.max(...hosts.map((host) => host.length));
  const signal = interruptSignal();
  const outcomes = await Promise.all(
    hosts.map(async (host) => {
      const lines = new HostLines(host, width);
      try {
        return { host, ...(await runThere(host, lines, code, { ...options, signal }, limit)), error: null };
      } catch (error) {
        // The next cell may be running: there, nobody asked for it.
        if (signal.aborted || !(error instanceof LazyclusterError)) throw error;
        lines.write("stderr", Buffer.from(`${reasonOf(error).trimEnd()}\n`));
        return { host, value: undefined, shown: [], error };
      } finally {
        lines.end();
      }
    }),
  );
  for (const { host, value, shown } of outcomes) show(host, [...shown, ...(value === undefined ? [] : [value])]);
  const failed = outcomes.filter(({ error }) => error);
  if (failed.length > 0) {
    const reasons = failed.map(({ host, error }) => `${host}: ${lastLineOf(error)}`);
    throw new CommandFailure(reasons.join("\n"), EXIT.failed);
  }
  printJson(Object.fromEntries(outcomes.map(({ host, value }) => [host, value])));
}

async function runThere(
  host: string,
  lines: HostLines,
  code: string,
  { session = DEFAULT_SESSION, python: interpreter, name, signal }: PythonOptions & { signal: AbortSignal },
  limit: { timeoutMs?: number },
): Promise<{ value: unknown; shown: readonly unknown[] }> {
  const runtime = runtimeOf(host);
  const found: Session = runtime.session(session, interpreter === undefined ? {} : { python: interpreter });
  const execution = found.run(code, {
    signal,
    ...(name === undefined ? { result: "display" as const } : {}),
    ...limit,
  });
  const { task } = execution;
  task.on("output", ({ stream, data }) => {
    if (!signal.aborted) lines.write(stream, data);
  });
  try {
    await execution;
  } catch (error) {
    if (signal.aborted) throw error;
    lines.end();
    show(host, displaysOf(task));
    throw error;
  }
  lines.end();
  const [value] = await task.returns();
  return { value: value ?? undefined, shown: displaysOf(task) };
}

/** The same name may be another host in another ssh config. */
function runtimeOf(host: string): Runtime {
  const key = JSON.stringify([Environment.sshConfigFile, host]);
  const runtime = runtimes.get(key) ?? new Runtime(host);
  runtimes.set(key, runtime);
  return runtime;
}

function displaysOf(task: RuntimeTask): readonly unknown[] {
  return task.displays;
}

/** Whose it is stands above what is shown. */
function show(host: string, values: readonly unknown[]): void {
  for (const value of values) {
    const bundle: MimeBundle = bundleOf(value) ?? { "text/plain": typeof value === "string" ? value : inspect(value) };
    const { "text/plain": text, "text/html": html, ...others } = bundle;
    const image = Object.keys(others).length > 0;
    const shown: MimeBundle = {
      "text/plain": `${host}: ${text}`,
      ...(html === undefined ? {} : { "text/html": `<div><small>${escapeHtml(host)}</small>${html}</div>` }),
      ...others,
    };
    const notebook = notebookHost();
    // An image has no place for a name.
    if (image) process.stdout.write(`${host}:\n`);
    if (notebook) notebook.display(shown);
    else process.stdout.write(`${shown["text/plain"]}\n`);
  }
}

function reasonOf(error: LazyclusterError): string {
  return error.remoteTraceback ?? error.message;
}

function lastLineOf(error: LazyclusterError | null): string {
  if (!error) return "";
  if (!(error instanceof TaskExecutionError) || error.remoteTraceback === undefined) return error.message;
  return oneLine(error.remoteTraceback.trim().split("\n").at(-1) ?? error.message, 300);
}
