/** What to tell when a host refuses a login: what was tried, what the host wants, what to do next. */

import type { EngineFailure } from "../../engine/protocol/failure";
import { fail, type Target } from "../shared/connection-errors";

export interface Refusal {
  readonly tried: readonly string[];
  /** What could not be tried, and why. */
  readonly notes: readonly string[];
  /** Null: the host hung up before it told. */
  readonly accepted: readonly string[] | null;
  readonly serverSaid: string | null;
}

export function refused(target: Target, refusal: Refusal): EngineFailure {
  const { tried, accepted, serverSaid } = refusal;
  const parts = [
    `login as ${target.user} refused`,
    `tried: ${tried.length > 0 ? tried.join(", ") : "nothing (no usable key, no password)"}`,
    ...notUsed(refusal.notes),
    ...(accepted === null ? [] : [`the host accepts: ${accepted.join(", ")}`]),
    ...(serverSaid === null ? [] : [`the host said: ${serverSaid}`]),
  ];
  return fail(target, "ERR_AUTHENTICATION", `${parts.join("; ")}. Next: ${advice(target, refusal)}.`);
}

const DEFAULT_KEY = /^~\/\.ssh\/id_\w+: missing$/;

/** ssh has half a dozen default key files; that most of them do not exist is no news. */
function notUsed(notes: readonly string[]): string[] {
  const worth = notes.filter((note) => !DEFAULT_KEY.test(note));
  const defaults = notes.length - worth.length;
  const all = defaults > 1 ? [...worth, `${defaults} default keys of ~/.ssh: missing`] : [...notes];
  return all.length > 0 ? [`not used: ${all.join("; ")}`] : [];
}

function advice(target: Target, { tried, notes, accepted, serverSaid }: Refusal): string {
  if (serverSaid !== null && /too many auth/i.test(serverSaid)) {
    return "the host allows only a few tries; name the right key with identityFile and set IdentitiesOnly yes in the ssh config";
  }
  if (notes.some((note) => note.includes("option passphrase does not fit")))
    return "correct the option passphrase, or give a prompt";
  if (notes.some((note) => note.includes("no passphrase fitted"))) return "try again with the right passphrase";
  if (notes.some((note) => note.includes(": encrypted;")))
    return "give the passphrase with the option passphrase or a prompt, or add the key to an ssh agent";
  const keys = accepted?.includes("publickey") ?? true;
  if (keys && tried.length > 0) {
    return `check the user name, and that the public key is in ~/.ssh/authorized_keys on the host (ssh-copy-id ${target.host}), or give another identityFile`;
  }
  if (keys) return "give a key with identityFile, or start an ssh agent that has one";
  return tried.length > 0 ? "check the user name and the password" : "give a password or a prompt";
}
