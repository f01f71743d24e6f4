/** Python functions as source: `py`, `pyFile`, `pyModule`. */
import { readFileSync } from "fs";
import { resolve } from "path";
import type { FunctionSpec } from "../engine/protocol";
import { InvalidArgumentError } from "../errors";
import { requirePath, requireText, show } from "../validate";
import { definedFunctions, dedent } from "./source-text";
import { EXT, type PyValue, type Travels, type ValueWriter, type Written, encodeDocument, travels } from "./values";

/** A Python function as source; works across Python versions. */
export interface PyFunction extends Travels {
  readonly name: string;
  /** The same source, calling another function that it defines. Throws InvalidArgumentError when it has none of that name. */
  named(name: string): PyFunction;
}

const NAME = /^[\p{L}_][\p{L}\p{N}_]*$/u;

/** A function that an import or a source gives. */
type NamedSpec = Extract<FunctionSpec, { kind: "source" | "module" }>;

/** The one class behind every PyFunction. */
export class PySource implements PyFunction, Travels {
  constructor(
    /** @internal */ readonly spec: NamedSpec,
    /** @internal Values of the names that the source uses. */ readonly bound: Readonly<Record<string, PyValue>> = {},
  ) {
    Object.freeze(this);
  }

  get name(): string {
    return this.spec.name;
  }

  named(name: string): PyFunction {
    if (this.spec.kind === "module") return pyModule(this.spec.module, name);
    const names = definedFunctions(this.spec.source);
    if (!names.includes(name)) {
      throw new InvalidArgumentError(`The source defines no function ${show(name)}; it defines ${names.join(", ")}.`);
    }
    return new PySource({ ...this.spec, name }, this.bound);
  }

  /** @internal As an argument it arrives as a callable. */
  [travels](writer: ValueWriter): Written {
    return writer.ext(EXT.function, [this.spec, this.bound]);
  }
}

/**
 * Python source with imports and functions; the last function is called. Text counts raw (`\n` stays two characters).
 * `${value}` is an expression that gives this value: it is passed as data, never spliced as text.
 *
 * @throws InvalidArgumentError when the source defines no function.
 * @example
 * ```ts
 * const hello = py`
 * def hello(name: str):
 *     return 'Hello ' + name + '!'
 * `;
 * ```
 */
export function py(source: TemplateStringsArray, ...values: PyValue[]): PyFunction {
  if (!Array.isArray(source) || !Array.isArray((source as { raw?: unknown }).raw)) {
    throw new InvalidArgumentError("py is a template tag: py`def f(x): …`.");
  }
  const raw = source.raw.map((part) => part.replace(/\\(`|\$\{)/g, "$1"));
  const prefix = freeName(raw.join(""));
  const bound: Record<string, PyValue> = {};
  let text = raw[0] ?? "";
  values.forEach((value, at) => {
    const name = `${prefix}${String(at)}`;
    // What cannot travel is told here, where it was written.
    encodeDocument(value, `the value ${String(at + 1)} of the py template`);
    bound[name] = value;
    text += name + (raw[at + 1] ?? "");
  });
  const dedented = dedent(text);
  const name = definedFunctions(dedented).at(-1);
  if (name === undefined) throw new InvalidArgumentError("py needs source that defines a function: py`def f(x): …`.");
  return new PySource(
    { kind: "source", source: dedented, name, file: `<py ${name}>`, bind: Object.keys(bound) },
    bound,
  );
}

/**
 * A function of a Python file of the manager; the file is read now.
 *
 * @throws InvalidArgumentError when the file cannot be read or defines no such function.
 * @example `pyFile("clean.py", "clean")`
 */
export function pyFile(path: string, fn: string): PyFunction {
  const file = resolve(requirePath(path, "The path"));
  requireText(fn, "The function's name");
  let source: string;
  try {
    source = readFileSync(file, "utf8");
  } catch (error) {
    throw new InvalidArgumentError(`The Python file ${file} cannot be read: ${String(error)}`, { cause: error });
  }
  return new PySource({ kind: "source", source, name: fn, file, bind: [] }).named(fn);
}

/**
 * A function importable on the host.
 *
 * @example `pyModule("math", "sin")`
 */
export function pyModule(module: string, fn: string): PyFunction {
  for (const [text, what] of [
    [module, "The module"],
    [fn, "The function"],
  ] as const) {
    if (
      !requireText(text, what)
        .split(".")
        .every((part) => NAME.test(part))
    ) {
      throw new InvalidArgumentError(`${what} must be a dotted Python name such as "math", not ${show(text)}.`);
    }
  }
  return new PySource({ kind: "module", module, name: fn });
}

function freeName(source: string): string {
  let prefix = "_lc_value_";
  while (source.includes(prefix)) prefix = `_${prefix}`;
  return prefix;
}
