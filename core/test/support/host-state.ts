/** What is on a host: our processes and folders. */
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { expect } from "vitest";
import type { HostProcess, TestHost } from "../hosts";
import { eventually, timeUntil } from "./eventually";

/** Nothing of ours: no process, no temporary folder. Gives the [ms] that it took. */
export async function expectCleanHost(host: TestHost, timeoutMs: number): Promise<number> {
  return timeUntil(
    async () => {
      expect((await host.processes()).map(({ args }) => args)).toEqual([]);
      expect(temporaryFolders(host)).toEqual([]);
    },
    timeoutMs,
    `${host.alias} is not clean`,
  );
}

/** Plugs the cable in, and waits until the kernel has found the way again: what it asked while it was out fails first. */
export async function linkUp(host: TestHost): Promise<void> {
  await host.linkUp();
  await eventually(
    async () => {
      const socket = connect(host.port, host.address);
      try {
        await once(socket, "connect");
      } finally {
        socket.destroy();
      }
    },
    10_000,
    `${host.alias} is reached`,
  );
}

/** Names of ours in the host's `/tmp`. */
export function temporaryFolders(host: TestHost): string[] {
  return readdirSync(join(host.dir, "tmp")).filter((name) => name.startsWith("lazycluster-"));
}

/** Waits until as many processes of this command line (a text: exactly this one) run there. */
export async function processesWith(
  host: TestHost,
  command: string | RegExp,
  count = 1,
  timeoutMs = 10_000,
): Promise<HostProcess[]> {
  return eventually(
    async () => {
      const found = (await host.processes()).filter(({ args }) =>
        typeof command === "string" ? args === command : command.test(args),
      );
      expect(found.length, `processes with ${String(command)}`).toBe(count);
      return found;
    },
    timeoutMs,
    host.alias,
  );
}

/** The agent and its keeper: both are the bootstrap's interpreter. */
export async function agentAndKeeper(host: TestHost): Promise<{ agent: HostProcess; keeper: HostProcess }> {
  return eventually(
    async () => {
      const ours = (await host.processes()).filter(({ args }) => args.includes("lazycluster: old python"));
      const agent = ours.find(({ ppid }) => ours.some(({ pid }) => pid === ppid));
      const keeper = ours.find(({ pid }) => pid === agent?.ppid);
      if (!agent || !keeper) throw new Error(`no agent and keeper in ${JSON.stringify(ours)}`);
      return { agent, keeper };
    },
    10_000,
    host.alias,
  );
}
