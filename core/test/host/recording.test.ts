/** What is followed of a detached task, where its host says what it should not, or is left meanwhile. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type * as Wire from "../../src/wire";
import { eventually } from "../support";
import { AgentClient, type AgentClientType, EngineFailure, Recording, hostSpec, never } from "../support/engine-parts";
import { FakeAgent } from "../support/fake-agent";

const wire = createRequire(__filename)(join(__dirname, "..", "..", "dist", "wire", "index.js")) as typeof Wire;
const HOST = "evil";
const frame = (fields: { op: string; [field: string]: Wire.Encodable }): Buffer => wire.encodeFrameHead(fields);
const GOOD = frame({ op: "begin", id: 1, time: 1 });
const away = new EngineFailure({ code: "ERR_CONNECTION", host: HOST, message: `${HOST}: away` });

/** Sends this as the recording. */
function recorder(bytes: Buffer): FakeAgent {
  let follow = 0;
  return new FakeAgent(HOST, {
    message: (header, fake) => {
      const id = header.integer("id");
      if (header.op === "follow") {
        follow = id;
        fake.send({ op: "data", id }, bytes);
        return;
      }
      fake.send({ op: "done", id });
      if (header.op === "stop") fake.send({ op: "done", id: follow });
    },
  });
}
const start = (agent: FakeAgent): Promise<AgentClientType> => AgentClient.start(agent, hostSpec(HOST, null), never);

function ended(recording: InstanceType<typeof Recording>): Promise<unknown> {
  return new Promise((resolve) => {
    recording.step(0).open(
      "run",
      {},
      {
        message: ({ header }) => {
          if (header.op === "surprise") throw new wire.WireError("an unexpected surprise");
        },
        ended: resolve,
      },
    );
  });
}

describe("a recording that cannot be read", () => {
  it.each([
    ["no frames", Buffer.concat([GOOD, Buffer.from("no frame at all, however long one reads on")])],
    ["a message that a step does not have", Buffer.concat([GOOD, frame({ op: "surprise", id: 1 })])],
    ["a time that is none", frame({ op: "begin", id: 1, time: "now" })],
  ])(
    "(%s) is given up as lost, once; the host is asked to end the task",
    async (_name, bytes) => {
      const fake = recorder(bytes);
      let attached = 0;
      const attach = (): Promise<never> => {
        attached += 1;
        return Promise.reject(away);
      };
      const recording = new Recording(await start(fake), { attach, patienceMs: 60_000, log: () => undefined });
      expect(await ended(recording)).toMatchObject({
        data: { code: "ERR_TASK_LOST", message: expect.stringMatching(/^evil: .*cannot be read/) as string },
      });
      expect(fake.isClosed).toBe(false);
      await recording.end();
      expect(fake.heard).toEqual(["hello", "follow", "stop", "forget", "bye"]);
      expect(attached).toBe(0);
    },
    30_000,
  );
});

it("one that is left while its host is looked for ends that, and closes what comes late", async () => {
  const fake = recorder(GOOD);
  const late = await start(recorder(GOOD));
  let arrive: (agent: AgentClientType) => void = () => undefined;
  let asked: AbortSignal | null = null;
  const recording = new Recording(await start(fake), {
    attach: (signal) => {
      asked = signal;
      return new Promise((resolve) => (arrive = resolve));
    },
    patienceMs: 60_000,
    log: () => undefined,
  });
  fake.leave();
  await eventually(() => asked !== null, 10_000);
  const left = recording.leave();
  expect(asked!).toMatchObject({ aborted: true });
  arrive(late);
  await left;
  await recording.over;
  expect(late.alive).toBe(false);
});

describe("a host that is lost while it is handed a task", () => {
  const lostAtRecord = (): FakeAgent =>
    new FakeAgent(HOST, {
      message: (header, fake) => {
        if (header.op === "record") fake.leave();
      },
    });
  const begin = async (inputs: Parameters<typeof Recording.begin>[2]): Promise<void> =>
    Recording.begin(await start(lostAtRecord()), [{ op: "run" }], inputs, Buffer.from("{}"), 60_000);

  it("may run it when it had all: it is looked for there", async () => {
    await expect(begin(new Map())).resolves.toBeUndefined();
  });

  it("does not run it when it had not", async () => {
    const bytes = Buffer.alloc(64 * 1024 * 1024);
    await expect(begin(new Map([[0, { kind: "memory", bytes }]]))).rejects.toMatchObject({
      data: { code: "ERR_CONNECTION" },
    });
  });
});

it("one that cannot be come back to is lost, whatever the reason: it may run on", async () => {
  const fake = recorder(GOOD);
  const unusable = new EngineFailure({ code: "ERR_INVALID_ARGUMENT", host: HOST, message: `${HOST}: a path` });
  const recording = new Recording(await start(fake), {
    attach: () => Promise.reject(unusable),
    patienceMs: 60_000,
    log: () => undefined,
  });
  const end = ended(recording);
  expect(recording.isLost).toBe(false);
  fake.leave();
  expect(await end).toMatchObject({ data: { code: "ERR_INVALID_ARGUMENT" } });
  expect(recording.isLost).toBe(true);
  await recording.end();
});
