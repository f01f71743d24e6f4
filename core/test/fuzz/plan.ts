/** What a round of the fuzz does, as plain data: it can be printed, and made again from its seed. */

export type Place = "localhost" | "host-1" | "host-2";

export interface RuntimePlan {
  readonly place: Place;
  readonly transport: "local" | "ssh2" | "openssh";
  /** False: a temporary one. */
  readonly givenDir: boolean;
}

/** Limits in [ms]; null: none. */
export type StepPlan =
  /** `count` lines, of a stream, in pieces with a pause of [ms] between them. */
  | { readonly kind: "lines"; readonly count: number; readonly stderr: boolean; readonly pauseMs: number }
  | { readonly kind: "both"; readonly count: number }
  /** `bare`: the process of the step is the sleep itself; `stubborn`: it ignores SIGTERM. */
  | {
      readonly kind: "sleep";
      readonly ms: number;
      readonly limitMs: number | null;
      readonly how: "bare" | "in a shell" | "stubborn";
    }
  | { readonly kind: "exit"; readonly code: number; readonly check: boolean }
  | { readonly kind: "signal"; readonly signal: "KILL" | "TERM" | "SEGV" }
  | { readonly kind: "stdin"; readonly bytes: number; readonly seed: number }
  | { readonly kind: "pty"; readonly count: number }
  /** Leaves a process that tries to get away, with or without the output of the step. */
  | { readonly kind: "leave"; readonly quiet: boolean }
  | {
      readonly kind: "function";
      readonly language: "source" | "file" | "js";
      readonly lines: number;
      readonly bytes: number;
      readonly seed: number;
      readonly sleepMs: number;
      readonly limitMs: number | null;
      readonly end: "value" | "raise" | "die";
    }
  | { readonly kind: "send"; readonly name: string; readonly bytes: number; readonly seed: number }
  /** Prints the hash of what was sent. */
  | { readonly kind: "hash"; readonly name: string; readonly bytes: number; readonly seed: number }
  | { readonly kind: "get"; readonly name: string; readonly bytes: number; readonly seed: number }
  | { readonly kind: "sendFolder"; readonly name: string; readonly files: number; readonly seed: number }
  | { readonly kind: "getFolder"; readonly name: string; readonly files: number; readonly seed: number }
  | { readonly kind: "syncUp"; readonly name: string; readonly files: number; readonly seed: number }
  | { readonly kind: "syncDown"; readonly name: string; readonly files: number; readonly seed: number }
  /** Of a session. Its value is the list of the cells that ran there, by their numbers. */
  | { readonly kind: "cell"; readonly number: number; readonly sleepMs: number; readonly limitMs: number | null };

export interface StopPlan {
  readonly how: "cancel" | "abort" | "terminate" | "cleanup";
  /** [ms] after the start; -1: an abort before it. */
  readonly afterMs: number;
}

export interface TaskPlan {
  readonly do: "task";
  readonly at: number;
  readonly name: string;
  readonly runtime: number;
  readonly steps: readonly StepPlan[];
  readonly detach: boolean;
  readonly session: string | null;
  readonly stop: StopPlan | null;
  /** Who reads along: nobody, the `output` event, `openLog()` as fast as it comes, or slowly. */
  readonly reader: "none" | "event" | "log" | "slow log";
}

export interface ExposurePlan {
  readonly do: "expose";
  readonly at: number;
  readonly name: string;
  readonly runtime: number;
  readonly direction: "to" | "from";
  readonly anyUser: boolean | null;
  readonly bytes: number;
  readonly seed: number;
  /** Else the end of the Runtime does it. */
  readonly stop: boolean;
}

export type FaultPlan =
  | { readonly do: "close"; readonly at: number; readonly runtime: number }
  /** Every session of that host's sshd ends. */
  | { readonly do: "cut"; readonly at: number; readonly place: Place }
  | {
      readonly do: "kill";
      readonly at: number;
      readonly place: Place;
      readonly what: "agent" | "keeper";
      /** Which of those that run there, counted round. */
      readonly which: number;
    }
  | {
      readonly do: "session";
      readonly at: number;
      readonly runtime: number;
      readonly name: string;
      readonly what: "interrupt" | "restart" | "close";
    };

export type ActionPlan = TaskPlan | ExposurePlan | FaultPlan;

export interface RoundPlan {
  readonly seed: number;
  readonly round: number;
  readonly runtimes: readonly RuntimePlan[];
  /** In the order of their time [ms]. */
  readonly actions: readonly ActionPlan[];
}

/** One line for each part. */
export function describeRound({ seed, round, runtimes, actions }: RoundPlan): string {
  const lines = [`seed ${seed}, round ${round}`];
  for (const [index, { place, transport, givenDir }] of runtimes.entries())
    lines.push(`  runtime ${index}: ${place} by ${transport}, ${givenDir ? "a given" : "a temporary"} directory`);
  for (const { at, do: kind, ...rest } of actions) {
    const steps = "steps" in rest ? rest.steps.map((step) => `\n           ${JSON.stringify(step)}`).join("") : "";
    const { steps: _steps, ...told } = rest as { steps?: unknown };
    lines.push(`  ${String(at).padStart(5)} ms ${kind} ${JSON.stringify(told)}${steps}`);
  }
  return lines.join("\n");
}
