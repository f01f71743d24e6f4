/**
 * What "alive" means, for everything that processes leave in the state directory: journals, claims, spools. The directory
 * may be shared with other machines and containers (a home on NFS, a mounted volume). Only who sees a process can say that it is
 * dead; of the others only their sign of life is known (sign-of-life.ts).
 */
import { FIRST_PID_NAMESPACE, processStat } from "../../system";
import { type ProcessIdentity, ownIdentity } from "./identity";
import { silenceOf } from "./sign-of-life";

/**
 * `elsewhere`: another machine or container has it, and it gave a sign of life. `silent`: it has, and gave none for long: who wants
 * to go on with its work may, but what it has is not removed. `dead`: for sure.
 */
export type Standing = "alive" | "elsewhere" | "silent" | "dead";

/** [ms] without a sign of life (one each 30 s) after which somebody else may go on. */
const SILENT_MS = 10 * 60 * 1000;
/** [ms] the same, where all speaks for a machine that was started anew: ours. */
const RESTARTED_MS = 2 * 60 * 1000;

export function standingOf(who: ProcessIdentity): Standing {
  if (isSeenFromHere(who)) return runs(who) ? "alive" : "dead";
  const silence = silenceOf(who);
  if (mayBeHereBefore(who)) return silence > RESTARTED_MS ? "dead" : "elsewhere";
  return silence > SILENT_MS ? "silent" : "elsewhere";
}

/** Nobody but who has it may touch it. */
export function isOurs(standing: Standing): standing is "alive" | "elsewhere" {
  return standing === "alive" || standing === "elsewhere";
}

/** What is not recorded does not count. */
function isSeenFromHere({ bootId, pidNamespace, machine }: ProcessIdentity): boolean {
  const own = ownIdentity();
  const same = (its: string | null, ours: string | null): boolean => its === null || its === ours;
  // The id of a boot and the number of a namespace tell it for sure; the machine's is for systems that have none.
  if (bootId !== null && pidNamespace !== null) return bootId === own.bootId && pidNamespace === own.pidNamespace;
  return same(bootId, own.bootId) && same(pidNamespace, own.pidNamespace) && same(machine, own.machine);
}

/** It ran on this machine before that was started anew; a container that was, has another name. */
function mayBeHereBefore({ bootId, pidNamespace, machine }: ProcessIdentity): boolean {
  const own = ownIdentity();
  const isWhole = pidNamespace === FIRST_PID_NAMESPACE && own.pidNamespace === FIRST_PID_NAMESPACE;
  return isWhole && bootId !== own.bootId && machine !== null && machine === own.machine;
}

function runs({ pid, processStart }: ProcessIdentity): boolean {
  if (processStart !== null && ownIdentity().processStart !== null) return processStat(pid)?.start === processStart;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
