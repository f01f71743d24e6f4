/** How an error is told to the manager: its type, its text, and the stack with the user's own lines. */
import { inspect } from "util";

/** What the manager shows; the agent's Python functions tell the same. */
export interface Raised {
  readonly type: string;
  readonly message: string;
  readonly traceback: string;
  readonly [field: string]: string;
}

const MAX_MESSAGE = 64 * 1024;
const MAX_TRACEBACK = 256 * 1024;
/** Frames of the worker, and of Node.js itself. */
const OURS = /^\s+at (?:.*\()?(?:lazycluster-worker|node:internal\/|\[eval\])/;
/** Errors below errors that are told. */
const MAX_CAUSES = 10;

/** @param file what stacks call the function's source. */
export function describe(error: unknown, file: string, source: string): Raised {
  if (!(error instanceof Error)) {
    return { type: "Error", message: shorten(`thrown: ${inspect(error)}`, MAX_MESSAGE), traceback: "" };
  }
  return {
    type: text(error.name) || "Error",
    message: shorten(messageOf(error), MAX_MESSAGE),
    traceback: shorten(stackOf(error, file, source.split("\n")), MAX_TRACEBACK),
  };
}

function messageOf(error: Error): string {
  const message = text(error.message);
  const missing = error instanceof ReferenceError ? /^(\S+) is not defined$/.exec(message)?.[1] : undefined;
  if (missing === undefined) return message;
  return (
    `${message}. A JavaScript function takes along only what it is given: ` +
    `add it to context, as in jsFunction(fn, { context: { ${missing} } }).`
  );
}

function stackOf(error: Error, file: string, lines: readonly string[]): string {
  const parts: string[] = [];
  let next: unknown = error;
  for (let depth = 0; next instanceof Error && depth < MAX_CAUSES; depth++, next = next.cause) {
    parts.push(
      ...text(next.stack)
        .split("\n")
        .filter((line) => !OURS.test(line))
        .flatMap((line) => withSource(line, file, lines)),
    );
    if (next.cause instanceof Error) parts.push("caused by:");
  }
  return parts.join("\n");
}

/** A frame of the function itself is followed by its line. */
function withSource(frame: string, file: string, lines: readonly string[]): string[] {
  const at = frame.indexOf(`${file}:`);
  const number = at < 0 ? undefined : /^(\d+)/.exec(frame.slice(at + file.length + 1))?.[1];
  const line = number === undefined ? undefined : lines[Number(number) - 1]?.trim();
  return line === undefined || line === "" ? [frame] : [frame, `        > ${line}`];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function shorten(value: string, limit: number): string {
  return value.length > limit
    ? `${value.slice(0, limit)}\n… ${String(value.length - limit)} characters are left out …`
    : value;
}
