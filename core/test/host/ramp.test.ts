import { expect, test, vi } from "vitest";
import { Deadline } from "../../src/host/deadline";
import { DroppedUnheard, retryDropped, Semaphore } from "../../src/host/ramp";

const never = new AbortController().signal;
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
    const deadline = new Deadline(100, expired);
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
