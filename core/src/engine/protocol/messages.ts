/** The messages between a client (the library, the command line, later the panel) and an engine: plain data. */
import type { ExposureChange } from "./exposure-record";
import type { FailureData } from "./failure";
import type { HostSpec, PromptRequest, Transport } from "./host-spec";
import type { CallSpec, SessionProcess, ValueData } from "./python-call";
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

interface StepBase {
  readonly kind: StepKind;
  readonly description: string;
}
/** Of every transfer. */
interface TransferStep extends StepBase {
  /** Compare the hash of what arrived. */
  readonly verify: boolean;
  /** Keep pieces of big files when it is interrupted, and use those that were kept. */
  readonly resume: boolean;
}
export type StepSpec =
  | (TransferStep & { readonly kind: "sendFile"; readonly localPath: string; readonly remotePath: string | null })
  | (TransferStep & { readonly kind: "getFile"; readonly remotePath: string; readonly localPath: string })
  | (TransferStep & {
      readonly kind: "syncFolder";
      readonly localPath: string;
      readonly remotePath: string;
      readonly direction: "up" | "down";
      readonly delete: boolean;
      readonly dryRun: boolean;
    })
  | (StepBase & {
      readonly kind: "runCommand";
      readonly command: string;
      readonly stdin: Uint8Array | null;
      readonly pty: boolean;
      readonly check: boolean;
      readonly timeoutMs: number | null;
    })
  | (StepBase & CallSpec & { readonly kind: "runFunction" });

/** What another process needs to take over a task that goes on without the one that started it. No secrets. */
export interface Detachment {
  /** Of its agent on the host. */
  readonly name: string;
  readonly owner: OwnerSpec;
  readonly steps: readonly StepSpec[];
  /** Its working directory. */
  readonly cwd: string;
}

/** It runs already, and its log goes on. */
export interface TakeOver {
  /** Its working directory. */
  readonly cwd: string;
  /** [ms] since the epoch: when its former engine began with it. */
  readonly since: number;
  /** Somebody wanted its end before, and the host was away. */
  readonly cancelWanted: boolean;
}

export interface ExecutionSpec {
  readonly id: string;
  readonly name: string;
  readonly owner: OwnerSpec;
  readonly steps: readonly StepSpec[];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute; must not exist, but where a task is taken over. */
  readonly logFile: string;
  readonly startedAt: number;
  /** Null: it ends with us. */
  readonly detach: { readonly name: string; readonly takeOver: TakeOver | null } | null;
}

/** What the agent said of its host, and the way to it. */
export interface HostInfo {
  readonly transport: Transport;
  readonly pythonVersion: string;
  readonly implementation: string;
  readonly executable: string;
  readonly home: string;
  readonly user: string;
  readonly hostname: string;
  readonly system: string;
  /** The same text for all that share their ports: a boot of a kernel and a network namespace; empty: unknown. */
  readonly network: string;
}

/** What a host has. Sizes in [bytes]. */
export interface HostFacts {
  readonly os: string;
  /** Quotas of containers count, so it may be a fraction. */
  readonly cpuCores: number;
  /** In total; limits of containers count. */
  readonly memory: number;
  readonly memoryAvailable: number;
  /** Of the last 1, 5 and 15 minutes; empty: unknown. */
  readonly loadAverage: readonly number[];
  readonly diskTotal: number;
  readonly diskFree: number;
  readonly gpus: readonly string[];
  readonly pythonVersion: string;
  /** [ms] since the epoch, by its clock. */
  readonly time: number;
}

/** One thing that `doctor` looked at. */
export interface Finding {
  readonly check:
    "ssh config" | "name" | "network" | "host key" | "login" | "agent" | "python" | "disk" | "clock" | "forwarding";
  readonly state: "ok" | "warning" | "failed";
  /** What was found. */
  readonly text: string;
  /** What to do about it; null: nothing. */
  readonly advice: string | null;
  readonly durationMs: number;
}

/** A port of one place that leads to a port of another. Places: a host, by its owner; null: the manager itself. */
export interface ExposureSpec {
  /** Chosen by the client. */
  readonly id: string;
  /** Where it listens. */
  readonly at: OwnerSpec | null;
  readonly port: number;
  /** Where the service is. */
  readonly to: OwnerSpec | null;
  readonly targetPort: number;
  /** True: every user of the machine may connect; false: only ours, and root; null: as it is fastest. */
  readonly anyUser: boolean | null;
}

/** Each kind of request with what it carries and what it resolves to. */
export interface Requests {
  connect: { in: { readonly owner: OwnerSpec }; out: HostInfo };
  /** Connects, and makes no working directory. */
  facts: { in: { readonly owner: OwnerSpec }; out: HostFacts };
  /** Those of the programs that the steps of this owner would not find. */
  missing: {
    in: {
      readonly owner: OwnerSpec;
      readonly names: readonly string[];
      readonly env: Readonly<Record<string, string>>;
    };
    out: readonly string[];
  };
  workingDir: { in: { readonly owner: OwnerSpec }; out: string };
  /** Looks at the host step by step, up to the first that fails. */
  diagnose: { in: { readonly owner: OwnerSpec }; out: readonly Finding[] };
  createTempdir: { in: { readonly owner: OwnerSpec }; out: string };
  createDir: { in: { readonly owner: OwnerSpec; readonly path: string }; out: string };
  deleteDir: { in: { readonly owner: OwnerSpec; readonly path: string }; out: boolean };
  /** Starts at once; what becomes of it arrives as `execution` events, `end` last. */
  /** `cancelled`: before it began; it ends as such, and nothing of it starts. */
  execute: { in: { readonly spec: ExecutionSpec; readonly cancelled: boolean }; out: null };
  /**
   * Resolves when the execution has ended, whatever its state, or when nothing listens for the exposure any more; false
   * when there is none of that id here.
   */
  cancel: { in: { readonly id: string }; out: boolean };
  /** A call without a task: no log, no journal. What it prints arrives as `callOutput`. */
  call: {
    in: {
      readonly id: string;
      readonly owner: OwnerSpec;
      readonly call: CallSpec;
      /** The connection that it must go over, because what it names is there; null: any. */
      readonly agent: string | null;
    };
    out: CallResult;
  };
  /** A value gave the owner an object that is kept in a file of the host: it is removed with the owner. */
  keepObject: { in: { readonly owner: string; readonly agent: string; readonly path: Uint8Array }; out: null };
  /** Removes the file, and copies on other hosts. */
  dropObject: { in: { readonly agent: string; readonly path: Uint8Array }; out: null };
  /** Ends this kept process. */
  endSession: { in: { readonly owner: string; readonly session: SessionProcess }; out: null };
  /** As Ctrl-C; false when nothing ran. */
  interruptSession: { in: { readonly owner: string; readonly session: SessionProcess }; out: boolean };
  /** Listens until `cancel`; what becomes of it arrives as `exposure` events, `end` last. One that leads there already is shared. */
  expose: { in: { readonly spec: ExposureSpec }; out: null };
  /** Resolves when it has ended. */
  joinExposure: { in: { readonly id: string }; out: null };
  /** Those of the ports that are free; for an exposure, also those on which the same service can be reached already. */
  freePorts: {
    in: {
      readonly owner: OwnerSpec | null;
      readonly ports: readonly number[];
      readonly service: { readonly to: OwnerSpec | null; readonly targetPort: number } | null;
    };
    out: number[];
  };
  /** Ends what the owner's tasks left running, removes its temporary directories, gives back its connection. */
  release: { in: { readonly owner: string }; out: null };
  /** Ends every task and connection; the engine takes no requests afterwards. */
  shutdown: { in: null; out: null };
}
export interface CallResult {
  readonly value: ValueData;
  readonly agent: string;
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
  /** `agent` names the connection that it came over: handles in it live there. */
  | { readonly kind: "value"; readonly step: number; readonly value: ValueData; readonly agent: string }
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
  | {
      readonly type: "callOutput";
      readonly id: string;
      readonly stream: "stdout" | "stderr";
      readonly data: Uint8Array;
    }
  | { readonly type: "exposure"; readonly id: string; readonly change: ExposureChange }
  | { readonly type: "prompt"; readonly id: number; readonly promptId: number; readonly request: PromptRequest }
  | { readonly type: "log"; readonly level: "error" | "warn" | "info" | "debug"; readonly message: string };
