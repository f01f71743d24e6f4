/** Checks of what users pass in. Each throws InvalidArgumentError that says what to pass. */
import { inspect } from "util";
import { InvalidArgumentError } from "./errors";

/** A value as a message shows it: short, one line. */
export function show(value: unknown): string {
  const text = inspect(value, { depth: 0, breakLength: Infinity, maxStringLength: 60 });
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

export function requireText(value: unknown, what: string): string {
  if (typeof value !== "string" || value === "")
    throw new InvalidArgumentError(`${what} must be a text that is not empty, not ${show(value)}.`);
  return value;
}

/** A path or a name that a system call takes: NUL would cut it off. */
export function requirePath(value: unknown, what: string): string {
  const path = requireText(value, what);
  if (path.includes("\0")) throw new InvalidArgumentError(`${what} must not hold a NUL character.`);
  return path;
}

export function requireFlag(value: unknown, what: string): boolean {
  if (typeof value !== "boolean") throw new InvalidArgumentError(`${what} must be true or false, not ${show(value)}.`);
  return value;
}

/** Finite, and not negative. */
export function requireNumber(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError(`${what} must be a number from 0 on, not ${show(value)}.`);
  return value;
}

/** [ms] Positive and finite. */
export function requireDuration(value: unknown, what: string, least = 1): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < least || value > 2 ** 31 - 1) {
    throw new InvalidArgumentError(`${what} must be milliseconds from ${String(least)} on, not ${show(value)}.`);
  }
  return Math.round(value);
}

/** A plain object that has no other keys than these; `undefined` is an empty one. */
export function requireOptions(
  value: unknown,
  keys: readonly string[],
  what: string,
): Readonly<Record<string, unknown>> {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidArgumentError(`${what} must be an object with options, not ${show(value)}.`);
  }
  for (const key of Object.keys(value)) {
    if (!keys.includes(key)) {
      throw new InvalidArgumentError(
        `${what}: there is no option ${JSON.stringify(key)}; there are ${keys.join(", ")}.`,
      );
    }
  }
  return value as Readonly<Record<string, unknown>>;
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A checked copy. */
export function requireVariables(value: unknown, what: string): Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidArgumentError(`${what} must be an object of names and values, not ${show(value)}.`);
  }
  const copy: Record<string, string> = {};
  for (const [name, content] of Object.entries(value as Record<string, unknown>)) {
    if (!VARIABLE.test(name)) {
      throw new InvalidArgumentError(
        `${what}: ${JSON.stringify(name)} is no name of a variable: letters, digits and _, no digit first.`,
      );
    }
    if (typeof content !== "string" || content.includes("\0")) {
      throw new InvalidArgumentError(`${what}: the value of ${name} must be a text without NUL, not ${show(content)}.`);
    }
    copy[name] = content;
  }
  return copy;
}
