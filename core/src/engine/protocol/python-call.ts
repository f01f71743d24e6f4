/** Python calls between the library and an engine: functions, arguments, handles, values. Plain data. */

/** How the agent finds a function, or what else it shall do (docs/agent-protocol.md, *Calls*). */
export type FunctionSpec =
  | {
      readonly kind: "source";
      readonly source: string;
      readonly name: string;
      /** What tracebacks call the source. */
      readonly file: string;
      /** Names that the arguments' document binds before the source runs. */
      readonly bind: readonly string[];
    }
  | { readonly kind: "module"; readonly module: string; readonly name: string }
  | {
      readonly kind: "js";
      readonly name: string;
      readonly source: string;
      /** An expression that gives the function, or a method as it stands in a class. */
      readonly form: "expression" | "method";
      /** What stacks call the source. */
      readonly file: string;
      /** Names that the arguments' document binds around the function. */
      readonly bind: readonly string[];
      /** Node.js on the host; null: `node`. */
      readonly node: string | null;
    }
  /** The object of a handle: index into the call's handles. */
  | { readonly kind: "pickle"; readonly handle: number }
  /** An object of the session. */
  | { readonly kind: "ref"; readonly id: number }
  /** Gives its first argument. */
  | { readonly kind: "value" }
  /** Gives its first argument as a handle. */
  | { readonly kind: "dump" }
  | { readonly kind: "cell"; readonly source: string; readonly file: string }
  | { readonly kind: "define"; readonly source: string; readonly file: string }
  /** Drops the objects of the session whose ids are its arguments. */
  | { readonly kind: "forget" };

/** In which form a value comes back; `auto`: data, else a display object, else a handle. */
export type ResultForm = "auto" | "data" | "handle" | "ref" | "display";

/** A value document: in memory, or in a private file of this process where it is too large for that. */
export type ArgumentData =
  | { readonly kind: "memory"; readonly bytes: Uint8Array }
  | { readonly kind: "file"; readonly path: string; readonly size: number };

/** The value of a call, opaque to the engine. In memory (a `PackedDocument`) each part has memory of its own, so that it can change threads. */
export type ValueData =
  | {
      readonly kind: "memory";
      readonly tree: Uint8Array;
      readonly small: ArrayBuffer;
      readonly large: readonly ArrayBuffer[];
    }
  | { readonly kind: "file"; readonly path: string; readonly size: number };

/** A Python object that a call takes, and that lives elsewhere. */
export type HandleRef = KeptObject | LiveObject;

interface ObjectBase {
  /** The connection to the host that has it. */
  readonly agent: string;
  readonly host: string;
  /** One line for people. */
  readonly label: string;
  /** What made it, such as `cpython 3.11`. */
  readonly python: string;
}
/** In a file of the host. */
export interface KeptObject extends ObjectBase {
  readonly kind: "kept";
  readonly path: Uint8Array;
}
/** One of the processes that a session has had, counted from 1: what is meant for one never runs in another. */
export interface SessionProcess {
  readonly name: string;
  readonly process: number;
}
/** In the process of a session; pickled when it goes elsewhere. */
export interface LiveObject extends ObjectBase {
  readonly kind: "live";
  readonly scope: string;
  readonly session: SessionProcess;
  readonly id: number;
  /** Modules that are pickled with it. */
  readonly modules: readonly string[];
}

export interface CallSpec {
  readonly fn: FunctionSpec;
  /** A map of args, kwargs and bind; null: the host has them. */
  readonly arguments: ArgumentData | null;
  readonly python: string | null;
  readonly timeoutMs: number | null;
  /** The kept process that it runs in; null: one of its own. */
  readonly session: SessionProcess | null;
  readonly result: ResultForm;
  readonly handles: readonly HandleRef[];
  readonly modules: readonly string[];
}

/** [bytes] above which arguments and values are kept in files instead of memory. */
export const IN_MEMORY = 64 * 1024 * 1024;

/** [bytes] below which memory is copied for the other thread. To hand it over costs more: each one is compared with all others of the message. */
const WORTH_HANDING_OVER = 64 * 1024;

/** The memory that goes with a value to another thread. */
export function memoryOf(value: ValueData): ArrayBuffer[] {
  if (value.kind !== "memory") return [];
  const all = [value.tree.buffer as ArrayBuffer, value.small, ...value.large];
  return all.filter(({ byteLength }) => byteLength >= WORTH_HANDING_OVER);
}
