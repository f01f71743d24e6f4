/**
 * Runs one JavaScript function in a Node.js process of a host and ends. The build makes one file of it (core/dist/agent/js-worker.bin), which
 * the agent passes to `node` through a socket: nothing is installed on the host. Node.js 18 is the oldest that it may meet.
 */
import { createRequire } from "module";
import { join } from "path";
import * as vm from "vm";
import { dataFrame, decodeDocument, encodeDocument, ndarray, pyFloat } from "../python/values";
import { WireError } from "../wire";
import { readDocument, readRequest, tell, tellResult } from "./channel";
import { describe } from "./raised";

interface Job {
  readonly name: string;
  readonly source: string;
  /** What stacks call the source. */
  readonly file: string;
  readonly form: string;
}

type Callable = (...args: readonly unknown[]) => unknown;

let settled = false;
let job: Job = { name: "", source: "", file: "", form: "" };

function main(): void {
  writeAtOnce(process.stdout);
  writeAtOnce(process.stderr);
  process.on("exit", (code) => tell("ending", { code: code & 0xff }));
  process.on("uncaughtException", fail);
  process.on("beforeExit", () => {
    if (!settled) fail(new Error("Its promise was never settled, and nothing was left to wait for."));
  });
  const fn = readRequest().optionalMap("fn");
  const text = (name: string): string => {
    const value = fn?.get(name);
    if (typeof value !== "string") throw new WireError(`a function without ${name}`);
    return value;
  };
  job = { name: text("name"), source: text("source"), file: text("file"), form: text("form") };
  const found = readArguments();
  if (found) void run(found);
}

interface Arguments {
  readonly args: readonly unknown[];
  readonly kwargs: object;
  readonly bind: Readonly<Record<string, unknown>>;
}

function readArguments(): Arguments | null {
  try {
    const value = decodeDocument(readDocument(), {
      host: "arguments",
      revive: () => {
        throw new WireError("a Python object is no data, and JavaScript functions take only data");
      },
    });
    if (typeof value === "object" && value !== null && "args" in value) return value as Arguments;
    throw new WireError("no map of args, kwargs and bind");
  } catch (error) {
    settled = true;
    const why = error instanceof Error ? error.message : String(error);
    tell("failed", { kind: "transfer", message: `The arguments of the function are broken: ${why}` });
    process.exit(1);
  }
}

async function run({ args, kwargs, bind }: Arguments): Promise<void> {
  let value: unknown;
  try {
    // Named ones come last, as one object.
    const all = Object.keys(kwargs).length > 0 ? [...args, kwargs] : args;
    value = await define(bind)(...all);
  } catch (error) {
    fail(error);
    return;
  }
  if (settled) return;
  try {
    const { head, buffers } = encodeDocument(value, "result");
    settled = true;
    tellResult([head, ...buffers]);
  } catch (error) {
    if (settled) throw error;
    settled = true;
    tell("raised", { raised: { type: "TypeError", message: (error as Error).message, traceback: "" } });
    process.exit(1);
  }
  // What the function left running does not keep the step alive.
  process.exit();
}

function define(bind: Readonly<Record<string, unknown>>): Callable {
  const variables = new Map<string, unknown>([
    ["require", hostRequire()],
    // Some compilers wrap functions in it, to keep their names.
    ["__name", (fn: unknown): unknown => fn],
    ...Object.entries(bind),
  ]);
  const start = `(function (${[...variables.keys()].join(", ")}) { "use strict"; return `;
  const [before, after] =
    job.form === "method" ? ["Object.values(Object.getOwnPropertyDescriptors({", "}))[0].value"] : ["(", ")"];
  const make = vm.runInThisContext(`${start}${before}${job.source}\n${after}; })`, {
    filename: job.file,
    columnOffset: -start.length - before.length,
    importModuleDynamically: importer(),
  }) as Callable;
  return make(...variables.values()) as Callable;
}

/** Modules as a script in the working directory finds them, and what makes arrays and frames of results. */
function hostRequire(): Callable {
  const load = createRequire(join(process.cwd(), "lazycluster.js"));
  const ours = { ndarray, dataFrame, pyFloat };
  const wrapped = (name: unknown): unknown => (name === "lazycluster" ? ours : (load(String(name)) as unknown));
  return Object.assign(wrapped, load);
}

/** Newer Nodes have a constant for what older ones do with a function. */
function importer(): vm.ScriptOptions["importModuleDynamically"] {
  const constants = (vm as { readonly constants?: { readonly USE_MAIN_CONTEXT_DEFAULT_LOADER?: number } }).constants;
  const ours = ((specifier: string) => import(specifier)) as unknown;
  return (constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER ?? ours) as vm.ScriptOptions["importModuleDynamically"];
}

/** Node.js queues what a pipe does not take at once, and forgets it at its end. */
function writeAtOnce(stream: NodeJS.WriteStream): void {
  const { _handle: handle } = stream as { readonly _handle?: { setBlocking?(blocking: boolean): void } | null };
  handle?.setBlocking?.(true);
}

function fail(error: unknown): void {
  if (!settled) {
    settled = true;
    tell("raised", { raised: describe(error, job.file, job.source) });
  } else console.error(error);
  process.exit(1);
}

main();
