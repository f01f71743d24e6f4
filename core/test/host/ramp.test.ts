import { setMaxListeners } from "node:events";
import { setImmediate as nextRound } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { Pausable } from "../../src/host/shared/within";
import { DroppedUnheard, LoginTurn, retryDropped, Semaphore } from "../../src/host/ssh/ramp";

const never = new AbortController().signal;
// Hundreds wait for it.
setMaxListeners(0, never);
const target = { host: "h", address: "a", port: 1, user: "u" };
const waiting = <R>(work: () => Promise<R>): Promise<R> => work();

test("a semaphore lets in as many as it has places, in order", async () => {
  const semaphore = new Semaphore(2);
  const order: number[] = [];
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      semaphore.run(never, async () => {
        most = Math.max(most, ++inside);
        order.push(index);
        await new Promise(setImmediate);
        inside--;
      }),
    ),
  );
  expect(most).toBe(2);
  expect(order).toEqual([...order].sort((a, b) => a - b));
});

test("who aborts while waiting leaves the line, and takes no place", async () => {
  const semaphore = new Semaphore(1);
  const leave = await semaphore.enter(never);
  const controller = new AbortController();
  const waitingFor = semaphore.enter(controller.signal);
  const next = semaphore.enter(never);
  controller.abort(new Error("enough"));
  await expect(waitingFor).rejects.toThrow("enough");
  leave();
  leave(); // a second time gives nothing back
  const leaveNext = await next;
  leaveNext();
  await semaphore.run(never, () => Promise.resolve());
});

test("logins of silent hosts let others pass, and take a place again before they go on", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const answers: (() => void)[] = [];
    const state = Array.from({ length: 400 }, () => "waits");
    const inside = (what: string): number => state.filter((each) => each === what).length;
    const ends: (() => void)[] = [];
    const all = state.map((_, index) =>
      LoginTurn.run(never, async (turn) => {
        state[index] = "silent";
        await turn.whileSilent(new Promise<void>((resolve) => (answers[index] = resolve)));
        state[index] = "answered";
        await turn.resume(never);
        state[index] = "goes on";
        await new Promise<void>((resolve) => (ends[index] = resolve));
        state[index] = "over";
      }),
    );
    await nextRound();
    expect(inside("silent")).toBe(32);
    // One after another they are found to be silent; so many, and no more.
    for (let round = 0; round < 20; round++) {
      await vi.advanceTimersByTimeAsync(1000);
      await nextRound();
    }
    expect(inside("silent")).toBe(256);
    for (const answer of answers.slice(0, 256)) answer();
    for (let round = 0; round < 5; round++) await nextRound();
    // Places that are given back go to who came first: those who have waited for one all along.
    expect(inside("goes on")).toBeLessThanOrEqual(32);
    while (inside("over") < state.length) {
      expect(inside("goes on")).toBeLessThanOrEqual(32);
      for (const answer of answers) answer();
      for (const end of ends.filter(Boolean)) end();
      await nextRound();
    }
    await Promise.all(all);
    // None was lost, none was made up.
    const again = Array.from({ length: 40 }, () =>
      LoginTurn.run(never, () => new Promise<void>((resolve) => ends.push(resolve))),
    );
    ends.length = 0;
    await nextRound();
    expect(ends).toHaveLength(32);
    while (ends.length > 0) {
      for (const end of ends.splice(0)) end();
      await nextRound();
    }
    await Promise.all(again);
  } finally {
    vi.useRealTimers();
  }
});

test("a login that is over while its host is silent, or while it waits to go on, keeps no place", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    let answerLate: () => void = () => undefined;
    const failed = LoginTurn.run(never, async (turn) => {
      const answer = turn.whileSilent(new Promise<void>((resolve) => (answerLate = resolve)));
      await vi.advanceTimersByTimeAsync(1000);
      // What resumes late finds that all is over.
      void answer.then(() => turn.resume(never));
      throw new Error("no key");
    });
    await expect(failed).rejects.toThrow("no key");
    answerLate();
    for (let round = 0; round < 3; round++) await nextRound();
    const ends: (() => void)[] = [];
    const all = Array.from({ length: 33 }, () =>
      LoginTurn.run(never, () => new Promise<void>((resolve) => ends.push(resolve))),
    );
    await nextRound();
    expect(ends).toHaveLength(32);
    for (const end of ends.splice(0)) end();
    await nextRound();
    for (const end of ends) end();
    await Promise.all(all);
  } finally {
    vi.useRealTimers();
  }
});

test("only a connection that was dropped unheard is tried again", async () => {
  const other = vi.fn(() => Promise.reject(new Error("wrong password")));
  await expect(retryDropped(target, never, waiting, other)).rejects.toThrow("wrong password");
  expect(other).toHaveBeenCalledTimes(1);
  const second = vi
    .fn<() => Promise<string>>()
    .mockRejectedValueOnce(new DroppedUnheard(new Error("dropped")))
    .mockResolvedValue("in");
  expect(await retryDropped(target, never, waiting, second)).toBe("in");
});

test("a deadline stands still while it is paused", async () => {
  vi.useFakeTimers();
  try {
    const expired = vi.fn();
    const deadline = new Pausable(100);
    deadline.start(expired);
    await vi.advanceTimersByTimeAsync(60);
    let finish!: () => void;
    const paused = deadline.pausedFor(() => new Promise<void>((resolve) => (finish = resolve)));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(expired).not.toHaveBeenCalled();
    finish();
    await paused;
    await vi.advanceTimersByTimeAsync(39);
    expect(expired).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(2);
    expect(expired).toHaveBeenCalledTimes(1);
  } finally {
    vi.useRealTimers();
  }
});
