/** What goes wrong on purpose: connections and agents that are killed. */
import type { HostProcess } from "../hosts";
import type { FaultPlan, Place } from "./plan";
import type { World } from "./world";

/** An interpreter that reads the bootstrap: an agent, its keeper, or a child that they forked. */
const OURS = "lazycluster: old python";

/** The pairs of keeper and agent that run there, those of detached tasks too. */
export async function agents(world: World, place: Place): Promise<{ agent: HostProcess; keeper: HostProcess }[]> {
  const ours = (await world.processes(place)).filter(({ args }) => args.includes(OURS) && !/^(\S*\/)?sh /.test(args));
  const parentOf = ({ ppid }: HostProcess): HostProcess | undefined => ours.find(({ pid }) => pid === ppid);
  return ours.flatMap((agent) => {
    const keeper = parentOf(agent);
    return keeper && !parentOf(keeper) ? [{ agent, keeper }] : [];
  });
}

/** Gives how many processes it ended. */
export async function strike(world: World, fault: Extract<FaultPlan, { do: "cut" | "kill" }>): Promise<number> {
  if (fault.do === "cut") {
    const found = await world.connections(fault.place);
    for (const { outerPid } of found) kill(outerPid);
    return found.length;
  }
  const pairs = await agents(world, fault.place);
  const pair = pairs[fault.which % Math.max(1, pairs.length)];
  if (!pair) return 0;
  kill(pair[fault.what].outerPid);
  return 1;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself meanwhile.
  }
}
