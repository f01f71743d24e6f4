/** Composing: each builder checks its arguments and gives a plain, frozen step. No I/O but a look at local files. */
import { oneLine } from "../display";
import type { SessionProcess, StepSpec } from "../engine/protocol";
import { InvalidArgumentError } from "../errors";
import { type PyKwargs, type PyValue, type Runnable, composeCall, composeSpec, isJavaScript } from "../python";
import { requireDuration, requireFlag, requireOptions, requirePath, requireText, show } from "../validate";

export interface CommandOptions {
  /** [ms] After it the step is ended and the task fails with reason `timeout`; default: none. */
  timeoutMs?: number;
  /** Run in a pseudo terminal (stderr then arrives as stdout); default false. */
  pty?: boolean;
  /** What the command reads; default: nothing (end of file at once). */
  stdin?: string | Uint8Array;
  /** False: a non-zero exit does not fail the task, see `steps[i].exitCode`; default true. */
  check?: boolean;
}

export interface FunctionOptions {
  /** Positional arguments, before the keyword arguments. */
  args?: readonly PyValue[];
  /** [ms] As in CommandOptions. */
  timeoutMs?: number;
  /**
   * Interpreter for this call: a path or command on the host, the folder of a virtual or conda environment, the name of a conda
   * environment or of a pyenv version; default: the Runtime's.
   */
  python?: string;
  /** `handle` keeps the value on the host; `data` refuses what is none. Default: data, and a handle for what is not data. */
  result?: "data" | "handle";
}

export const FUNCTION_OPTIONS = ["args", "timeoutMs", "python", "result"] as const;

export function runCommandStep(command: string, options?: CommandOptions): StepSpec {
  if (requirePath(command, "runCommand: the command").trim() === "") {
    throw new InvalidArgumentError("runCommand: the command must not be blank.");
  }
  const given = requireOptions(options, ["timeoutMs", "pty", "stdin", "check"], "runCommand");
  const { stdin } = given;
  if (stdin !== undefined && typeof stdin !== "string" && !(stdin instanceof Uint8Array)) {
    throw new InvalidArgumentError(`runCommand: stdin must be a text or bytes, not ${show(stdin)}.`);
  }
  return Object.freeze({
    kind: "runCommand",
    description: oneLine(`run ${command.trim()}`),
    command,
    // A copy: what the caller does with the bytes afterwards does not count.
    stdin: stdin === undefined ? null : Uint8Array.from(typeof stdin === "string" ? Buffer.from(stdin, "utf8") : stdin),
    pty: given["pty"] === undefined ? false : requireFlag(given["pty"], "runCommand: pty"),
    check: given["check"] === undefined ? true : requireFlag(given["check"], "runCommand: check"),
    timeoutMs: optionalDuration(given["timeoutMs"], "runCommand: timeoutMs"),
  });
}

/** @param session the kept process that it runs in. */
export function runFunctionStep(
  fn: Runnable,
  kwargs?: PyKwargs,
  options?: FunctionOptions,
  session: SessionProcess | null = null,
): StepSpec {
  if (typeof (kwargs ?? {}) !== "object" || (kwargs as unknown) === null || Array.isArray(kwargs)) {
    throw new InvalidArgumentError(
      `runFunction: keyword arguments are an object such as { name: "World" }, not ${show(kwargs)}.`,
    );
  }
  const given = requireOptions(options, FUNCTION_OPTIONS, "runFunction");
  const { args = [], result = "auto" } = given;
  if (!Array.isArray(args)) throw new InvalidArgumentError(`runFunction: args must be a list, not ${show(args)}.`);
  if (result !== "auto" && result !== "data" && result !== "handle") {
    throw new InvalidArgumentError(`runFunction: result is "data" or "handle", not ${show(result)}.`);
  }
  const python = given["python"] === undefined ? null : requireInterpreter(given["python"], "runFunction: python");
  const timeoutMs = optionalDuration(given["timeoutMs"], "runFunction: timeoutMs");
  if (isJavaScript(fn) && (session !== null || result === "handle")) {
    throw new InvalidArgumentError(
      `runFunction: a JavaScript function gives data, and runs in a process of its own: ${session === null ? 'leave out result: "handle"' : "a session is for Python"}.`,
    );
  }
  // Last of what may throw, because it may keep a file.
  const call = composeCall(fn, args as readonly PyValue[], kwargs ?? {}, "runFunction");
  return Object.freeze({
    kind: "runFunction",
    description: oneLine(`call ${call.name}`),
    fn: call.fn,
    arguments: call.arguments,
    handles: call.handles,
    python,
    timeoutMs,
    session,
    result,
    modules: [],
  });
}

export interface CellOptions {
  /** [ms] After it the cell is interrupted and the task fails with reason `timeout`; default: none. */
  timeoutMs?: number;
  /** What tracebacks call the source; default: `<cell 1>`, `<cell 2>` … */
  file?: string;
  /** In which form the value of the last expression comes back: `display` is what a notebook shows. Default: data, and a handle for what is not data. */
  result?: "data" | "handle" | "display";
}
export const CELL_OPTIONS = ["timeoutMs", "file", "result"] as const;

/** Source that runs in a kept process, as a notebook runs a cell. */
export function cellStep(
  code: string,
  session: SessionProcess,
  options: CellOptions | undefined,
  defaultFile: string,
): StepSpec {
  const source = requireText(code, "run: the code");
  const given = requireOptions(options, CELL_OPTIONS, "run");
  const { result = "auto" } = given;
  if (result !== "auto" && result !== "data" && result !== "handle" && result !== "display") {
    throw new InvalidArgumentError(`run: result is "data", "handle" or "display", not ${show(result)}.`);
  }
  const file = given["file"] === undefined ? defaultFile : requireText(given["file"], "run: file");
  return Object.freeze({
    kind: "runFunction",
    description: oneLine(`run ${source.trim()}`),
    ...composeSpec({ kind: "cell", source, file }, [], {}, "run"),
    python: null,
    timeoutMs: optionalDuration(given["timeoutMs"], "run: timeoutMs"),
    session,
    result,
    modules: [],
  });
}

/** It travels as a line of its own. */
export function requireInterpreter(value: unknown, what: string): string {
  const text = requireText(value, what);
  if (/[\0\n\r]/.test(text) || text.startsWith("-")) {
    throw new InvalidArgumentError(
      `${what} must be a path or a command on the host, such as "python3.11", not ${show(text)}.`,
    );
  }
  return text;
}

function optionalDuration(value: unknown, what: string): number | null {
  return value === undefined ? null : requireDuration(value, what);
}
