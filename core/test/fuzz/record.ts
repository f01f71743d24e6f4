/** What a round did, as the oracle reads it. */
import type { RuntimeTaskType, RuntimeType } from "../support";
import type { ExposurePlan, Place, RoundPlan, TaskPlan } from "./plan";

/** Something that may end what is none of its business to the oracle. Times are [ms] since the start of the round. */
export interface Disturbance {
  readonly kind: "close" | "broken" | "session";
  readonly place: Place;
  /** Of a close or a session. */
  readonly runtime: number | null;
  readonly session: string | null;
  readonly from: number;
  until: number;
}

export interface TaskOutcome {
  readonly plan: TaskPlan;
  readonly id: string;
  readonly task: RuntimeTaskType;
  readonly startedAt: number;
  endedAt: number | null;
  /** How often the `end` event came. */
  ends: number;
  /** What its promise rejected with. */
  error: unknown;
  values: readonly unknown[] | null;
  stop: StopOutcome | null;
  /** By step and stream, what the reader heard. */
  readonly heard: Map<string, Buffer[]>;
  /** What went wrong in reading along. */
  readerError: unknown;
}

export interface StopOutcome {
  readonly at: number;
  /** Of the task when the stop was confirmed; null: it was not, yet. */
  state: string | null;
  error: unknown;
  tookMs: number | null;
}

export interface ExposureOutcome {
  readonly plan: ExposurePlan;
  readonly startedAt: number;
  endedAt: number | null;
  /** Where it listens, and which port. */
  port: { readonly place: Place; readonly port: number } | null;
  error: unknown;
}

export interface RoundRecord {
  readonly plan: RoundPlan;
  readonly runtimes: readonly RuntimeType[];
  readonly tasks: TaskOutcome[];
  readonly exposures: ExposureOutcome[];
  readonly disturbances: Disturbance[];
  /** What must not reject at all, and did. */
  readonly surprises: string[];
  /** For people: what happened when. */
  readonly story: string[];
}

export function placeOf({ runtimes }: RoundPlan, runtime: number): Place {
  return runtimes[runtime]!.place;
}
