/** One round from its schedule to its verdict: it begins and ends with nothing of ours anywhere. */
import { existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { RuntimeTask, type RuntimeType, eventually, leftovers } from "../support";
import { bytesOf, sha256 } from "./bytes";
import { type Evidence, judgeRound } from "./oracle";
import type { Place, RoundPlan } from "./plan";
import { Game } from "./play";
import { type RoundRecord, placeOf } from "./record";
import type { Surroundings } from "./steps";
import type { World } from "./world";

export const PLACES = ["localhost", "host-1", "host-2"] as const satisfies readonly Place[];
/** [ms] within which all must be gone. A promise of 2 s has tests of its own; here the machine may be busy. */
const CLEAN_MS = 20_000;

export interface Verdict {
  /** Null: all is well. */
  readonly wrong: string | null;
  readonly record: RoundRecord;
}

/** @param descriptors that this process may have open at the end. */
export async function playRound(world: World, plan: RoundPlan, descriptors: number): Promise<Verdict> {
  const name = `${plan.seed}-${plan.round}`;
  const ledgers = new Map(PLACES.map((place) => [place, world.folder(place, `ledger-${name}`)]));
  const fetched = join(world.space.dir, `fetched-${name}`);
  mkdirSync(fetched);
  const around = new Map<Place, Surroundings>(
    PLACES.map((place) => [
      place,
      {
        sources: world.sources,
        fetched,
        ledger: join(ledgers.get(place)!.there, "ledger"),
        functions: world.functions,
      },
    ]),
  );
  const given = plan.runtimes.map(({ place, givenDir }, index) =>
    givenDir ? world.folder(place, `given-${name}-${index}`) : null,
  );
  const game = new Game(
    world,
    plan,
    around,
    given.map((folder) => folder?.there ?? null),
  );
  const { record } = game;
  await game.play();

  const evidence: Evidence = {
    record,
    surroundings: ({ plan: { runtime } }) => around.get(placeOf(plan, runtime))!,
    ledger: ({ plan: { runtime } }) => lines(join(ledgers.get(placeOf(plan, runtime))!.here, "ledger")),
    journal: (id) => journalEnds(world, id),
  };
  let wrong = await judgeRound(evidence);
  for (const [index, folder] of given.entries()) if (folder) wrong ??= judgeGiven(record, index, folder.here);
  for (const runtime of record.runtimes) wrong ??= await probe(runtime);
  await Promise.all(record.runtimes.map((runtime) => runtime.close()));
  wrong ??= await judgeEmptiness(world, record, descriptors).then(
    () => null,
    (error: unknown) => (error as Error).message,
  );
  wrong ??= leftovers(fetched).map((path) => `${path} was left in ${fetched}`)[0] ?? null;
  for (const folder of [...given, ...ledgers.values()]) if (folder) rmSync(folder.here, { recursive: true });
  rmSync(fetched, { recursive: true });
  return { wrong, record };
}

/** A runtime can be used whatever happened; what broke shortly before may still have to be noticed. */
async function probe(runtime: RuntimeType): Promise<string | null> {
  try {
    await eventually(async () => {
      const task = await runtime.executeTask(new RuntimeTask("probe").runCommand("echo here"));
      return task.executionLog[0] === "here\n";
    }, CLEAN_MS);
    return null;
  } catch (error) {
    return `${runtime.host} cannot be used afterwards: ${String(error)}`;
  }
}

/** What was sent is whole, or not there. */
function judgeGiven(record: RoundRecord, runtime: number, folder: string): string | null {
  for (const { plan } of record.tasks) {
    if (plan.runtime !== runtime) continue;
    for (const step of plan.steps) {
      if (step.kind !== "send") continue;
      const path = join(folder, step.name);
      if (existsSync(path) && sha256(readFileSync(path)) !== sha256(bytesOf(step.bytes, step.seed)))
        return `${plan.name}: what was sent to ${step.name} is neither whole nor missing`;
    }
  }
  // What is killed with SIGKILL can remove nothing.
  const killed = record.plan.actions.some(({ do: kind }) => kind === "kill");
  const left = killed ? [] : leftovers(folder);
  return left.length === 0 ? null : `${left.join(", ")} was left in the working directory`;
}

/** Rejects with what is still there. */
async function judgeEmptiness(world: World, record: RoundRecord, descriptors: number): Promise<void> {
  for (const place of PLACES) {
    await eventually(
      async () => {
        const left = [...(await world.processes(place)).map(({ pid, args }) => `${pid} ${args}`)];
        left.push(...world.temporary(place));
        const detached = record.tasks.filter(({ plan }) => plan.detach && placeOf(record.plan, plan.runtime) === place);
        left.push(...detached.filter(({ id }) => world.hasDetached(place, id)).map(({ id }) => `task-${id}`));
        if (left.length > 0) throw new Error(left.join("\n"));
      },
      CLEAN_MS,
      `${place} is not clean`,
    );
  }
  for (const { port } of record.exposures)
    if (port)
      await eventually(
        async () => !(await world.listens(port.place, port.port)),
        CLEAN_MS,
        `port ${port.port} listens`,
      );
  await eventually(
    () => {
      const now = openDescriptors();
      if (now > descriptors) throw new Error(`${now} instead of ${descriptors}: ${describeDescriptors()}`);
    },
    CLEAN_MS,
    "descriptors stay open",
  );
}

export function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** Sockets with the addresses that they have, or the path. */
function describeDescriptors(): string {
  const sockets = ["tcp", "tcp6", "unix"].flatMap((kind) =>
    lines(`/proc/self/net/${kind}`).map((line) => `${kind} ${line.trim().replace(/\s+/g, " ")}`),
  );
  return readdirSync("/proc/self/fd")
    .map((fd) => {
      const target = readlinkOrGone(`/proc/self/fd/${fd}`);
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      const socket = inode === undefined ? undefined : sockets.find((line) => line.split(" ").includes(inode));
      return `\n${fd} ${target} ${socket ?? ""}`;
    })
    .join("");
}

function readlinkOrGone(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "gone";
  }
}

function lines(path: string): string[] {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
}

/** Every `end` that the journals of this run have of an execution. */
function journalEnds(world: World, id: string): string[] {
  const folder = join(world.space.env["LAZYCLUSTER_STATE_DIR"]!, "engines");
  return readdirSync(folder)
    .flatMap((engine) => lines(join(folder, engine, "journal.jsonl")))
    .filter((line) => line.includes(id))
    .map((line) => JSON.parse(line) as { execution: string; change?: { kind: string; state: string } })
    .flatMap(({ execution, change }) => (execution === id && change?.kind === "end" ? [change.state] : []));
}
