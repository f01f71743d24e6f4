/** Which losses an exposure survives: both of its places are this machine, and are lost when the test says so. */
import { type Server, connect, createServer } from "node:net";
import { once } from "node:events";
import { afterEach, expect, it } from "vitest";
import type { LossListener, Place, Reached } from "../../src/network";
import type { ExposureWay } from "../../src/engine/protocol";
import { eventually } from "../support";
import { type ExposureType, Exposure, managerPlace } from "../support/engine-parts";
import { anyPort } from "./services";

const machine = managerPlace(() => Promise.reject(new Error("nobody asks who connects")));

/** The loopback of this machine, as a place that comes and goes. */
class Flapping implements Place {
  /** Whoever wants to reach it waits for that. */
  gate: Promise<void> = Promise.resolve();
  reaches = 0;
  /** How often somebody asked to be told of a loss. */
  watchers = 0;
  private current: { readonly reached: Reached; readonly lose: () => void } | null = null;

  constructor(readonly name: string) {}

  async reach(signal: AbortSignal): Promise<Reached> {
    this.reaches += 1;
    await this.gate;
    this.current ??= this.make((await machine.reach(signal)).ports);
    return this.current.reached;
  }

  lose(): void {
    this.current?.lose();
    this.current = null;
  }

  /** As of a host that forbids to forward, which it says at the first connection. */
  dialer: Reached["ports"]["dialer"] = "manager";

  private make(ports: Reached["ports"]): { reached: Reached; lose: () => void } {
    let alive = true;
    const dialer = (): Reached["ports"]["dialer"] => this.dialer;
    const watching = new Set<LossListener>();
    // A host that is lost has closed what it listened on.
    const listeners: { close(): Promise<void> }[] = [];
    const reached: Reached = {
      ports: {
        get dialer() {
          return dialer();
        },
        dial: (port) => ports.dial(port),
        free: (asked) => ports.free(asked),
        listen: async (port, anyUser, incoming) => {
          const listener = await ports.listen(port, anyUser, incoming);
          listeners.push(listener);
          return listener;
        },
      },
      network: this.name,
      get alive() {
        return alive;
      },
      onLost: (listener) => {
        this.watchers += 1;
        watching.add(listener);
        return () => watching.delete(listener);
      },
    };
    const lose = (): void => {
      alive = false;
      for (const listener of listeners) void listener.close();
      queueMicrotask(() => {
        for (const tell of watching) tell(null);
      });
    };
    return { reached, lose };
  }
}

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Lab {
  readonly at: Flapping;
  readonly to: Flapping;
  readonly port: number;
  readonly exposure: ExposureType;
  readonly changes: string[];
  readonly ways: ExposureWay[];
}

/** A service that says `hello`, and its exposure, which is not opened yet. */
async function lab(): Promise<Lab> {
  const service: Server = createServer((socket) => socket.on("error", () => undefined).end("hello"));
  service.listen(0, "127.0.0.1");
  await once(service, "listening");
  ends.push(() => void service.close());
  const [at, to, port] = [new Flapping("at"), new Flapping("to"), await anyPort()];
  const { port: targetPort } = service.address() as { port: number };
  const changes: string[] = [];
  const ways: ExposureWay[] = [];
  const exposure = new Exposure(
    { at, port, anyUser: true, to, targetPort },
    {
      changed: (change) => {
        if (change.kind === "way") ways.push(change.way);
        else changes.push(change.kind);
      },
      log: () => undefined,
    },
  );
  ends.push(() => exposure.stop());
  return { at, to, port, exposure, changes, ways };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const pieces: Buffer[] = [];
  try {
    for await (const piece of socket) pieces.push(piece as Buffer);
  } catch {
    return false;
  }
  return Buffer.concat(pieces).toString() === "hello";
}

it("the service's host is lost while the other one is reached again: both are, before it says that it is up", async () => {
  const { at, to, port, exposure, changes } = await lab();
  await exposure.open();
  expect(await answers(port)).toBe(true);
  let open: () => void = () => undefined;
  at.gate = new Promise((resolve) => (open = resolve));
  at.lose();
  await eventually(() => at.reaches === 2, 5000, "it is tried again");
  to.lose();
  open();
  await eventually(() => changes.includes("up"), 5000, "it is up");
  expect(to.reaches).toBe(2);
  expect(changes).toEqual(["down", "up"]);
  expect(await answers(port)).toBe(true);
  // And a later loss is seen, too.
  to.lose();
  await eventually(() => changes.length === 4, 5000, "it is up again");
  expect(changes).toEqual(["down", "up", "down", "up"]);
  expect(await answers(port)).toBe(true);
});

it("a loss while it is opened is recovered from afterwards", async () => {
  const { at, to, port, exposure, changes } = await lab();
  let open: () => void = () => undefined;
  at.gate = new Promise((resolve) => (open = resolve));
  const opening = exposure.open();
  await eventually(() => at.reaches === 1, 5000, "the other one is reached");
  to.lose();
  open();
  await opening;
  await eventually(() => changes.includes("up"), 5000, "it is up");
  expect(changes).toEqual(["down", "up"]);
  expect(await answers(port)).toBe(true);
});

it("says which way it goes, once for each way, and whether it is interrupted", async () => {
  const { at, to, port, exposure, ways } = await lab();
  to.dialer = "sshd";
  expect(exposure.status).toEqual({ way: null, interrupted: null });
  await exposure.open();
  const first = { listener: "manager", dialer: "sshd" };
  expect(exposure.status).toEqual({ way: first, interrupted: null });
  expect(await answers(port)).toBe(true);
  expect(ways).toEqual([first]);
  to.dialer = "agent";
  for (let time = 0; time < 3; time++) expect(await answers(port)).toBe(true);
  expect(ways).toEqual([first, { listener: "manager", dialer: "agent" }]);
  let open: () => void = () => undefined;
  at.gate = new Promise((resolve) => (open = resolve));
  at.lose();
  await eventually(() => exposure.status.interrupted === "the connection was closed", 5000, "the loss is seen");
  open();
  await eventually(() => exposure.status.interrupted === null, 5000, "it is up");
  expect(ways).toHaveLength(2);
});

it("failed tries do not watch the same host over and over", async () => {
  const { at, to, port, exposure } = await lab();
  await exposure.open();
  at.lose();
  const squatter = createServer().listen(port, "127.0.0.1");
  ends.push(() => void squatter.close());
  await once(squatter, "listening");
  await eventually(() => at.reaches >= 4, 10_000, "it is tried again and again");
  expect(at.watchers).toBe(2);
  expect(to.watchers).toBe(1);
});
