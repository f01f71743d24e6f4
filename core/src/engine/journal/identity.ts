/** Which process on which machine: what stays true of it alone, wherever it is read. */
import { createHash } from "crypto";
import { hostname } from "os";
import { bootId, machineId, pidNamespace, processStat } from "../../system";

/** Null: its system does not tell. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since boot: a pid alone may be somebody else's by now. */
  readonly processStart: string | null;
  readonly bootId: string | null;
  /** Containers of one machine share its boot, and may have the same pids. */
  readonly pidNamespace: string | null;
  /** The machine's id and name, hashed. Only where both are the same, it may be the same machine after a new start. */
  readonly machine: string | null;
}

let own: ProcessIdentity | null = null;

export function ownIdentity(): ProcessIdentity {
  own ??= {
    pid: process.pid,
    processStart: processStat(process.pid)?.start ?? null,
    bootId: bootId(),
    pidNamespace: pidNamespace(),
    machine: shortHash([machineId() ?? "", hostname()]),
  };
  return own;
}

/** Names what belongs to this process: both its threads have the same. */
export function processName(): string {
  return nameOf(ownIdentity());
}

/** For a file's name. */
export function nameOf({ pid, processStart, bootId: boot, pidNamespace: namespace, machine }: ProcessIdentity): string {
  return [String(pid), processStart, boot, namespace?.replace(/\D/g, ""), machine].map((part) => part ?? "").join("_");
}

/** Null for a name that none of ours has. */
export function parseName(name: string): ProcessIdentity | null {
  const parts = name.split("_");
  const [pid = "", start = "", boot = "", namespace = "", machine = ""] = parts;
  if (parts.length !== 5 || !/^[1-9]\d*$/.test(pid)) return null;
  return {
    pid: Number(pid),
    processStart: start || null,
    bootId: boot || null,
    pidNamespace: namespace === "" ? null : `pid:[${namespace}]`,
    machine: machine || null,
  };
}

/** The same for all that see the same processes, as short as the path of a socket wants it. */
export function placeName(): string {
  return shortHash([ownIdentity().bootId ?? "", ownIdentity().pidNamespace ?? "", ownIdentity().machine ?? ""]).slice(
    0,
    6,
  );
}

/** The id of a machine is nobody's business. */
function shortHash(parts: readonly string[]): string {
  return createHash("sha256")
    .update(`lazycluster ${parts.join("\n")}`)
    .digest("hex")
    .slice(0, 16);
}
