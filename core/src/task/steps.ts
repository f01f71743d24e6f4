/** Composing: each builder checks its arguments and gives a plain, frozen step. No I/O but a look at local files. */
import { oneLine } from "../display";
import type { StepSpec } from "../engine/protocol";
import { InvalidArgumentError } from "../errors";
import { type PyFunction, type PyKwargs, PySource, type PyValue } from "../python";
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
  /** Interpreter for this call, a path or command on the host; default: the Runtime's. */
  python?: string;
}

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

export function runFunctionStep(fn: PyFunction, kwargs?: PyKwargs, options?: FunctionOptions): StepSpec {
  if (!(fn instanceof PySource)) {
    throw new InvalidArgumentError(
      `runFunction takes a Python function: py\`def f(x): …\`, pyFile(path, name) or pyModule(module, name), not ${show(fn)}.`,
    );
  }
  if (typeof (kwargs ?? {}) !== "object" || (kwargs as unknown) === null || Array.isArray(kwargs)) {
    throw new InvalidArgumentError(
      `runFunction: keyword arguments are an object such as { name: "World" }, not ${show(kwargs)}.`,
    );
  }
  const given = requireOptions(options, ["args", "timeoutMs", "python"], "runFunction");
  const args = given["args"] ?? [];
  if (!Array.isArray(args)) throw new InvalidArgumentError(`runFunction: args must be a list, not ${show(args)}.`);
  return Object.freeze({
    kind: "runFunction",
    description: oneLine(`call ${fn.name}`),
    fn: fn.spec,
    document: fn.encodeArguments(args as readonly PyValue[], kwargs ?? {}),
    python: given["python"] === undefined ? null : requireInterpreter(given["python"], "runFunction: python"),
    timeoutMs: optionalDuration(given["timeoutMs"], "runFunction: timeoutMs"),
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
