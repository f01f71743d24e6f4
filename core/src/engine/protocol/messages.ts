/** The messages between a client (the library, the command line, later the panel) and an engine: plain data. */
import type { FailureData } from "./failure";
import type { HostSpec, PromptRequest } from "./host-spec";
import type { StepKind, TaskChange } from "./task-record";

/** Where steps run. `temporary` is made on first use and removed with its owner. */
export type WorkingDirSpec =
  | { readonly kind: "temporary" }
  | { readonly kind: "given"; readonly path: string }
  /** Used as it is, neither created nor removed; empty: the login directory. */
  | { readonly kind: "asIs"; readonly path: string };

/** A Runtime or Connection of the library: the owner of what its tasks leave on the host. */
export interface OwnerSpec {
  readonly id: string;
  readonly host: HostSpec;
  readonly workingDir: WorkingDirSpec;
}

/** How the agent finds a function. */
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
    };

interface StepBase {
  readonly kind: StepKind;
  readonly description: string;
}
export type StepSpec =
  | (StepBase & { readonly kind: "sendFile"; readonly localPath: string; readonly remotePath: string | null })
  | (StepBase & { readonly kind: "getFile"; readonly remotePath: string; readonly localPath: string })
  | (StepBase & {
      readonly kind: "runCommand";
      readonly command: string;
      readonly stdin: Uint8Array | null;
      readonly pty: boolean;
      readonly check: boolean;
      readonly timeoutMs: number | null;
    })
  | (StepBase & {
      readonly kind: "runFunction";
      readonly fn: FunctionSpec;
      /** A value document (docs/agent-protocol.md): args, kwargs, bind. */
      readonly document: Uint8Array;
      readonly python: string | null;
      readonly timeoutMs: number | null;
    });

export interface ExecutionSpec {
  readonly id: string;
  readonly name: string;
  readonly owner: OwnerSpec;
  readonly steps: readonly StepSpec[];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute; must not exist. */
  readonly logFile: string;
  readonly startedAt: number;
}

/** What the agent said of its host. */
export interface HostInfo {
  readonly pythonVersion: string;
  readonly implementation: string;
  readonly executable: string;
  readonly home: string;
  readonly user: string;
  readonly hostname: string;
  readonly system: string;
}

/** Each kind of request with what it carries and what it resolves to. */
export interface Requests {
  connect: { in: { readonly owner: OwnerSpec }; out: HostInfo };
  workingDir: { in: { readonly owner: OwnerSpec }; out: string };
  createTempdir: { in: { readonly owner: OwnerSpec }; out: string };
  createDir: { in: { readonly owner: OwnerSpec; readonly path: string }; out: string };
  deleteDir: { in: { readonly owner: OwnerSpec; readonly path: string }; out: boolean };
  /** Starts at once; what becomes of it arrives as `execution` events, `end` last. */
  execute: { in: { readonly spec: ExecutionSpec }; out: null };
  /** Resolves when the execution has ended, whatever its state; false when it is not of this engine. */
  cancel: { in: { readonly id: string }; out: boolean };
  /** Ends what the owner's tasks left running, removes its temporary directories, gives back its connection. */
  release: { in: { readonly owner: string }; out: null };
  /** Ends every task and connection; the engine takes no requests afterwards. */
  shutdown: { in: null; out: null };
}
export type RequestKind = keyof Requests;

export type ClientMessage =
  | {
      [K in RequestKind]: {
        readonly type: "request";
        readonly id: number;
        readonly kind: K;
        readonly body: Requests[K]["in"];
      };
    }[RequestKind]
  | { readonly type: "promptAnswer"; readonly id: number; readonly answers: string[] | null };

/** Changes of an execution that only matter while it runs; the journal has the others. */
export type ExecutionChange =
  | TaskChange
  /** The log file has this many bytes now. */
  | { readonly kind: "grew"; readonly size: number }
  | { readonly kind: "value"; readonly step: number; readonly document: Uint8Array }
  | {
      readonly kind: "progress";
      readonly step: number;
      readonly bytes: number;
      readonly totalBytes: number | null;
      readonly files: number;
      readonly totalFiles: number | null;
    };

export type EngineMessage =
  | { readonly type: "response"; readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly type: "response"; readonly id: number; readonly ok: false; readonly failure: FailureData }
  | { readonly type: "execution"; readonly id: string; readonly changes: readonly ExecutionChange[] }
  | { readonly type: "prompt"; readonly id: number; readonly promptId: number; readonly request: PromptRequest }
  | { readonly type: "log"; readonly level: "error" | "warn" | "info" | "debug"; readonly message: string };
