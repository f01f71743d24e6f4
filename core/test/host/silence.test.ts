/** A host that lives, and never says what it should: every wait for it ends. */
import { describe, expect, it, vi } from "vitest";
import { AgentClient, type AgentClientType, hostSpec, never, startProcess } from "../support/engine-parts";
import { FakeAgent } from "../support/fake-agent";

const HOST = "silent";
const start = (agent: FakeAgent): Promise<AgentClientType> => AgentClient.start(agent, hostSpec(HOST, null), never);
const SINKS = {
  started: () => undefined,
  progress: () => undefined,
  newFile: () => "",
  output: (_stream: string, _bytes: Buffer, release: () => void) => release(),
};

/** Time passes for timers only. */
async function afterwards(ms: number): Promise<void> {
  // What is under way first: the fake host answers in streams.
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  await vi.advanceTimersByTimeAsync(ms);
}

async function withTimers(work: () => Promise<void>): Promise<void> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    await work();
  } finally {
    vi.useRealTimers();
  }
}

describe("a host that never says", () => {
  it.each([
    ["nor hears the cancel", false],
    ["but hears the cancel", true],
  ])("that a step with a time limit has ended (%s): it has timed out", async (_name, hears) => {
    const agent = new FakeAgent(HOST, {
      message: (header, fake) => {
        const id = header.integer("id");
        if (header.op === "run") fake.send({ op: "started", id, pid: 7 });
        if (header.op === "cancel" && hears)
          fake.send({ op: "exit", id, code: null, sig: "SIGTERM", why: "cancelled", raised: null });
      },
    });
    const client = await start(agent);
    await withTimers(async () => {
      const { ended } = startProcess(client, "run", { timeout: 5000 }, null, SINKS);
      let over = false;
      void ended.then(() => (over = true));
      await afterwards(5000 + 29_000);
      expect(over).toBe(false);
      expect(agent.heard).not.toContain("cancel");
      await afterwards(1001 + 6001);
      expect(await ended).toMatchObject({ why: "timeout", value: null });
      expect(agent.heard).toContain("cancel");
    });
    await client.close();
  });

  it("that a call of a session has ended: its time counts from its turn", async () => {
    const agent = new FakeAgent(HOST, {});
    const client = await start(agent);
    await withTimers(async () => {
      startProcess(client, "call", { timeout: 5000, session: "s" }, null, SINKS).ended.catch(() => undefined);
      await afterwards(3600_000);
      expect(agent.heard).not.toContain("cancel");
    });
    await client.close();
  });

  it("what it was asked: an error after a minute, and the host is lost to nobody", async () => {
    const agent = new FakeAgent(HOST, {});
    const client = await start(agent);
    await withTimers(async () => {
      const asked = client.ask("mkdir", { path: "x", cwd: "" }, () => {
        throw new Error("no error came");
      });
      const failing = expect(asked).rejects.toMatchObject({
        data: {
          code: "ERR_TIMEOUT",
          host: HOST,
          message: expect.stringMatching(/^silent: .*60 s \(mkdir\)/) as string,
        },
      });
      await afterwards(60_001);
      await failing;
      expect(agent.heard).toContain("cancel");
    });
    expect(client.alive).toBe(true);
    await client.close();
  });
});

it("a host that is asked for a sign of life every few ms has time to answer", async () => {
  const agent = new FakeAgent(HOST, { keepaliveIntervalMs: 30 });
  const client = await start(agent);
  await vi.waitFor(() => expect(agent.heard.filter((op) => op === "ping").length).toBeGreaterThan(3), 10_000);
  expect(client.alive).toBe(true);
  await client.close();
});
