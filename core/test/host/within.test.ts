import { getEventListeners } from "node:events";
import { MessageChannel } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { Pausable, abortable, bounded, within } from "../../src/host/shared/within";

const HOST = "host-1";
const CANCELLED = { data: { code: "ERR_CANCELLED", host: HOST } };
const never = (): Promise<never> => new Promise(() => undefined);
const late = (): never => {
  throw new Error("too late");
};

describe("a wait", () => {
  test("ends with the work, and its failure is the work's", async () => {
    expect(await within(10_000, Promise.resolve(7), late)).toBe(7);
    await expect(within(10_000, Promise.reject(new Error("no")), late)).rejects.toThrow("no");
  });

  test("ends when its time is over, with a value or a failure", async () => {
    expect(await within(5, never(), () => "late")).toBe("late");
    await expect(within(5, never(), late)).rejects.toThrow("too late");
    await expect(within(new Pausable(5), never(), late)).rejects.toThrow("too late");
  });

  test("ends when it is cancelled, before or meanwhile; what the work makes of it is nobody's", async () => {
    const stop = new AbortController();
    const waiting = abortable(never(), stop.signal, HOST);
    stop.abort();
    await expect(waiting).rejects.toMatchObject(CANCELLED);
    // Not an unhandled rejection, which would fail this test.
    await expect(abortable(Promise.reject(new Error("no")), stop.signal, HOST)).rejects.toMatchObject(CANCELLED);
  });

  test("leaves neither a timer nor a listener", async () => {
    const before = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const stop = new AbortController();
    await within(60_000, Promise.resolve(), late, { signal: stop.signal, host: HOST });
    await within(5, never(), () => null, { signal: stop.signal, host: HOST });
    expect(getEventListeners(stop.signal, "abort")).toEqual([]);
    expect(process.getActiveResourcesInfo().filter((name) => name === "Timeout").length).toBe(before);
  });
});

describe("work that stops by itself", () => {
  /** Takes a moment to clear up. */
  const work = async ({ signal }: AbortController, cleared: string[]): Promise<never> => {
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve());
      if (signal.aborted) resolve();
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
    cleared.push("cleared");
    throw new Error("of no interest");
  };
  const until = (signal: AbortSignal): { signal: AbortSignal; host: string } => ({ signal, host: HOST });

  test("is waited for when it is stopped, and the reason is why", async () => {
    const cleared: string[] = [];
    const stopped = AbortSignal.abort();
    const tooLate = (): Error => new Error("too late");
    const { signal } = new AbortController();
    await expect(bounded(5, (stop) => work(stop, cleared), tooLate, until(signal))).rejects.toThrow("too late");
    await expect(bounded(60_000, (stop) => work(stop, cleared), tooLate, until(stopped))).rejects.toMatchObject(
      CANCELLED,
    );
    const byItself = bounded(
      60_000,
      (stop) => (stop.abort(new Error("mine")), work(stop, cleared)),
      tooLate,
      until(signal),
    );
    await expect(byItself).rejects.toThrow("mine");
    expect(cleared).toHaveLength(3);
  });
});

test("a wait in a process that stood still ends with what came meanwhile", async () => {
  const { port1, port2 } = new MessageChannel();
  const heard = new Promise((resolve) => port2.once("message", () => resolve("heard")));
  // From here the loop comes to its timers before it reads anything.
  await new Promise((resolve) => setImmediate(resolve));
  const waiting = within(20, heard, () => "late");
  port1.postMessage("here");
  const until = performance.now() + 60;
  while (performance.now() < until);
  expect(await waiting).toBe("heard");
  port1.close();
});
