/**
 * What a test needs of the machine: the options of a test or a suite, which skip it where that is missing, and why. The
 * run's last lines give the reason of each; a test that is skipped without one counts as failed.
 */
import type { TestOptions } from "vitest";
import { canIsolate } from "./start-hosts";

/** Skips for this reason, if there is one. */
export function unless(why: string | null | undefined | false): TestOptions {
  return why ? { skip: true, meta: { why } as object } : {};
}

const isRoot = process.getuid?.() === 0;

export const needsIsolation = (): TestOptions =>
  unless(!canIsolate() && "needs namespaces for its hosts: root, or user namespaces, and unshare, setpriv and ip");

/** Hosts that log in root, other users, mounts on the manager. */
export const needsRoot = (): TestOptions => unless(!isRoot && "needs root");

/** sshd gives a terminal to the group `tty`, which is nobody in a user namespace of one user. */
export const needsTerminals = (): TestOptions =>
  unless(!isRoot && canIsolate() && "needs terminals by sshd, which has none in a user namespace");

export const needsOrdinaryUser = (): TestOptions => unless(isRoot && "needs an ordinary user: root may do anything");
