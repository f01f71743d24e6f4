/** Nothing stays in memory of an exposure that was closed, however long its places live on. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Route } from "../../src/network";
import { type TestHosts, startHosts } from "../hosts";
import { eventually } from "../support";
import {
  type AgentClientType,
  Exposure,
  ExposureBook,
  type ExposureType,
  hostPlace,
  managerPlace,
  never,
  openAgent,
} from "../support/engine-parts";
import { listenHere } from "./services";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const COUNT = 30;

let hosts: TestHosts;
let agent: AgentClientType;
const manager = managerPlace(() => Promise.reject(new Error("nobody asks who connects")));

beforeAll(async () => {
  hosts = await startHosts();
  agent = await openAgent("host-1", hosts.configFile);
});
afterAll(async () => {
  await agent.close();
  await hosts.stop();
});

async function expectForgotten(made: readonly WeakRef<object>[]): Promise<void> {
  expect(made).toHaveLength(COUNT);
  await eventually(
    () => {
      collect();
      expect(made.flatMap((ref, index) => (ref.deref() === undefined ? [] : [index]))).toEqual([]);
    },
    10_000,
    "all are forgotten",
  );
}

/** In a function of its own, for a variable keeps what it had last. */
async function opened(route: Route): Promise<WeakRef<ExposureType>> {
  const exposure = new Exposure(route, { changed: () => undefined, log: () => undefined });
  await exposure.open();
  await exposure.stop();
  return new WeakRef(exposure);
}

it("an exposure is forgotten when it is stopped, though its host and the manager live on", async () => {
  const host = hostPlace("host-1", () => Promise.resolve(agent));
  const made: WeakRef<ExposureType>[] = [];
  for (let i = 0; i < COUNT; i++) {
    const [at, to] = i % 2 === 0 ? [manager, host] : [host, manager];
    made.push(await opened({ at, port: 0, anyUser: i % 4 < 2, to, targetPort: 9 }));
  }
  await expectForgotten(made);
  expect(agent.alive).toBe(true);
});

it("nor does the book of exposures keep what was asked for", async () => {
  const made: WeakRef<object>[] = [];
  const book = new ExposureBook({
    manager,
    owner: () => {
      throw new Error("no host takes part");
    },
    opened: (spec) => void made.push(new WeakRef(spec)),
    changed: () => undefined,
    log: () => undefined,
  });
  const { port: taken, server } = await listenHere();
  try {
    for (let i = 0; i < COUNT; i++) {
      const { port, server: holder } = await listenHere();
      await new Promise((resolve) => holder.close(resolve));
      const id = String(i);
      await book.expose({ id, at: null, port, to: null, targetPort: taken, anyUser: true }, never);
      const joined = book.join(id);
      expect(await book.unexpose(id)).toBe(true);
      await joined;
      expect(await book.unexpose(id)).toBe(false);
    }
  } finally {
    server.close();
  }
  await expectForgotten(made);
});
