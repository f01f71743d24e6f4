/** JavaScript functions as source: `jsFunction`, and plain functions. */
import { Script } from "vm";
import type { FunctionSpec } from "../engine/protocol";
import { InvalidArgumentError } from "../errors";
import { requireOptions, requirePath, show } from "../validate";
import { type PyValue, encodeDocument } from "./values";

/** A JavaScript function as source, for hosts with Node.js 18 or newer. */
export interface JsFunction {
  readonly name: string;
}

/** A plain function; it travels as its source, without what it captured. */
export type JsCallable = (...args: never[]) => unknown;

export interface JsFunctionOptions {
  /** Values of the variables that the function uses but does not define. They travel as data. */
  readonly context?: { readonly [name: string]: PyValue };
  /** Node.js on the host, a path or a command; default `node`. */
  readonly node?: string;
}

type JsSpec = Extract<FunctionSpec, { kind: "js" }>;

/** The one class behind every JsFunction. */
export class JsSource implements JsFunction {
  constructor(
    /** @internal */ readonly spec: JsSpec,
    /** @internal The context. */ readonly bound: Readonly<Record<string, PyValue>>,
  ) {
    Object.freeze(this);
  }

  get name(): string {
    return this.spec.name;
  }
}

/**
 * A function with the variables that it uses. It is sent as source and runs in a Node.js process on the host; its promise is awaited.
 *
 * @throws InvalidArgumentError for a function without source (built in, or bound), a class, or a variable that cannot travel.
 * @example
 * ```ts
 * const limit = 3;
 * await runtime.executeFunction(jsFunction((x: number) => Math.min(x, limit), { context: { limit } }), {}, { args: [5] });
 * ```
 */
export function jsFunction(fn: JsCallable, options?: JsFunctionOptions): JsFunction {
  return makeJsSource(fn, options);
}

export function makeJsSource(fn: JsCallable, options?: JsFunctionOptions): JsSource {
  if (typeof fn !== "function") throw new InvalidArgumentError(`jsFunction takes a function, not ${show(fn)}.`);
  const given = requireOptions(options, ["context", "node"], "jsFunction");
  const context = given["context"] ?? {};
  if (typeof context !== "object" || Array.isArray(context)) {
    throw new InvalidArgumentError(`jsFunction: context is an object such as { limit: 3 }, not ${show(context)}.`);
  }
  const name = fn.name === "" ? "anonymous" : fn.name;
  const source = Function.prototype.toString.call(fn);
  const form = formOf(source, name);
  for (const variable of Object.keys(context)) requireVariable(variable);
  // A copy: what becomes of the object afterwards does not count.
  const bound = { ...(context as Record<string, PyValue>) };
  // What cannot travel is told here, where it was written.
  encodeDocument(bound, "context");
  const node = given["node"] === undefined ? null : requirePath(given["node"], "jsFunction: node");
  return new JsSource({ kind: "js", name, source, form, file: `<js ${name}>`, bind: Object.keys(bound), node }, bound);
}

/** How the source becomes a function again. */
function formOf(source: string, name: string): JsSpec["form"] {
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source)) {
    throw new InvalidArgumentError(
      `The function ${show(name)} is built in, or was bound, so it has no source that could travel. Wrap it: (…args) => ${name.replace(/^bound /, "")}(…args).`,
    );
  }
  if (/^class\b/.test(source)) {
    throw new InvalidArgumentError(
      `The class ${show(name)} cannot be called. Wrap it in a function that makes what you need.`,
    );
  }
  if (compiles(`(${source}\n)`)) return "expression";
  if (
    !/^(?:static\s+)?(?:get|set)\s+[^(]/.test(source) &&
    !/^(?:async\s*)?\*?\s*[[#]/.test(source) &&
    compiles(`({${source}\n})`)
  ) {
    return "method";
  }
  throw new InvalidArgumentError(
    `The source of the function ${show(name)} cannot travel: it is a getter, a setter, or has a private or computed name. Wrap it in an arrow function.`,
  );
}

function compiles(code: string): boolean {
  try {
    return new Script(`"use strict";async () => { ${code} }`) instanceof Script;
  } catch {
    return false;
  }
}

function requireVariable(name: string): void {
  if (!/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) || !compiles(`(${name}) => 0`)) {
    throw new InvalidArgumentError(`jsFunction: context has ${JSON.stringify(name)}, which is no name of a variable.`);
  }
}
