/** What is known of one port exposure, and how each change alters it. Pure, as the record of a task. */
import type { FailureData } from "./failure";

/** Who has an end of an exposure in hand: this process, the host's sshd, or the agent. */
export type PortHand = "manager" | "sshd" | "agent";

/** By what way connections go. */
export interface ExposureWay {
  /** Who listens. */
  readonly listener: PortHand;
  /** Who connects to the service. */
  readonly dialer: PortHand;
}

/** What becomes of an exposure after it was made. */
export type ExposureChange =
  /** An end of it is away; it is tried again until it is stopped. */
  | { readonly kind: "down"; readonly message: string }
  | { readonly kind: "up" }
  /** It goes another way now. */
  | { readonly kind: "way"; readonly way: ExposureWay }
  /** Stopped, or with what ended it for good. */
  | { readonly kind: "end"; readonly failure: FailureData | null };

export interface ExposureRecord {
  /** Unique over all engines. */
  readonly id: string;
  /** Where it listens: a host; null: the manager. */
  readonly at: string | null;
  readonly port: number;
  /** Where the service is: a host; null: the manager. */
  readonly to: string | null;
  readonly targetPort: number;
  /** As it was asked for. */
  readonly anyUser: boolean | null;
  /** [ms] since the epoch. */
  readonly startedAt: number;
  readonly durationMs: number | null;
  /** `lost`: its process has died, and took it along. */
  readonly state: "running" | "done" | "failed" | "lost";
  /** Why it carries nothing now, while one of its hosts is away; null: it does. */
  readonly interrupted: string | null;
  /** Null: the service itself is there. */
  readonly way: ExposureWay | null;
  readonly failure: FailureData | null;
}

/** What is known when it listens. */
export type ExposureStart = Omit<ExposureRecord, "durationMs" | "state" | "failure">;

export function startExposure(start: ExposureStart): ExposureRecord {
  return { ...start, state: "running", durationMs: null, failure: null };
}

/** The record after the change; what has ended never changes again. @param time [ms] since the epoch, of the change */
export function changeExposure(record: ExposureRecord, change: ExposureChange, time: number): ExposureRecord {
  if (record.state !== "running") return record;
  switch (change.kind) {
    case "down":
      return { ...record, interrupted: change.message };
    case "up":
      return { ...record, interrupted: null };
    case "way":
      return { ...record, way: change.way };
    case "end":
      return {
        ...record,
        state: change.failure === null ? "done" : "failed",
        failure: change.failure,
        interrupted: null,
        durationMs: Math.max(0, time - record.startedAt),
      };
  }
}

/** Of a process that died without a word. */
export function loseExposure(record: ExposureRecord): ExposureRecord {
  return record.state === "running" ? { ...record, state: "lost", interrupted: null } : record;
}
