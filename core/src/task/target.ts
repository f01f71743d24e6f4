import type { OwnerSpec } from "../engine/protocol";

/** Where a task can be executed: a Runtime, or a bare Connection. */
export interface ExecutionTarget {
  /** Who owns what the task leaves on the host. Throws when it was closed. */
  ownerSpec(): OwnerSpec;
  /** Variables of every step; the task's own win. */
  readonly targetEnv: Readonly<Record<string, string>>;
  /** What it sends may be shown as markup. */
  readonly trusted: boolean;
}
