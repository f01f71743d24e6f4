/**
 * Random tasks, sessions, exposures, and faults on real hosts, round by round. The seed makes the same schedule again:
 * `LAZYCLUSTER_FUZZ_SEED=… LAZYCLUSTER_FUZZ_ROUND=…` plays one round again and again, `LAZYCLUSTER_FUZZ_SECONDS` says for how long.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Environment, Runtime, RuntimeTask } from "../support";
import { describeRound } from "./plan";
import { openDescriptors, playRound } from "./round";
import { scheduleOf } from "./schedule";
import { World } from "./world";

const number = (name: string): number | null => {
  const text = process.env[`LAZYCLUSTER_FUZZ_${name}`];
  return text === undefined || text === "" ? null : Number(text);
};
const SECONDS = number("SECONDS") ?? 30;
const SEED = number("SEED") ?? Date.now() % 1_000_000;
const ONLY = number("ROUND");
const MOST = number("TASKS") ?? 16;

let world: World;
let descriptors: number;
const unhandled: unknown[] = [];
const onUnhandled = (error: unknown): void => void unhandled.push(error);
const { logger } = Environment;

beforeAll(async () => {
  process.on("unhandledRejection", onUnhandled);
  world = await World.open();
  // The engine, its journal and its control socket stay open.
  await new Runtime("localhost").use((runtime) => runtime.executeTask(new RuntimeTask().runCommand("true")));
  descriptors = openDescriptors();
}, 60_000);
afterAll(async () => {
  Environment.logger = logger;
  process.off("unhandledRejection", onUnhandled);
  await world.close();
}, 60_000);

it(`leaves nothing behind and loses nothing (seed ${SEED})`, { timeout: SECONDS * 1000 + 300_000 }, async () => {
  const playground = { js: world.js, spanMs: 1500, most: MOST };
  const end = performance.now() + SECONDS * 1000;
  const ends = new Map<string, number>();
  let rounds = 0;
  for (let round = ONLY ?? 0; performance.now() < end; round = ONLY ?? round + 1) {
    const plan = scheduleOf(SEED, round, playground);
    const { wrong, record } = await playRound(world, plan, descriptors);
    rounds += 1;
    for (const { task } of record.tasks) ends.set(task.state, (ends.get(task.state) ?? 0) + 1);
    const fault = wrong ?? (unhandled.length > 0 ? `nobody caught ${String(unhandled[0])}` : null);
    if (fault !== null) {
      const replay = `LAZYCLUSTER_FUZZ_SEED=${SEED} LAZYCLUSTER_FUZZ_ROUND=${round} plays this round again`;
      expect.fail([fault, replay, describeRound(plan), "what happened:", ...record.story].join("\n"));
    }
  }
  const count = [...ends].map(([state, tasks]) => `${tasks} ${state}`).join(", ");
  console.log(`fuzz: seed ${SEED}, ${rounds} rounds, tasks: ${count}`);
});
