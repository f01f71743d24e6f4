import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { EngineFailure, type ErrorCode } from "../../src/engine/protocol/failure";
import { ComeBack, isFinal } from "../../src/host/shared/come-back";

const failure = (code: ErrorCode): EngineFailure => new EngineFailure({ code, message: code });
const { signal } = new AbortController();

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

/** Without waiting. */
function comeBack(patienceMs = Infinity): { way: ComeBack; pauses: number[] } {
  const pauses: number[] = [];
  const pause = (ms: number): Promise<void> => {
    pauses.push(ms);
    vi.advanceTimersByTime(ms);
    return Promise.resolve();
  };
  return { way: new ComeBack(patienceMs, pause), pauses };
}

/** Fails so often, then is there. */
function attempt(failures: number, code: ErrorCode = "ERR_CONNECTION"): () => Promise<string> {
  let left = failures;
  return () => (left-- > 0 ? Promise.reject(failure(code)) : Promise.resolve("there"));
}

test.each([
  ["ERR_CONNECTION", false],
  // A host that is busy, or not all there yet.
  ["ERR_INVALID_RUNTIME", false],
  ["ERR_PATH_CREATION", false],
  ["ERR_PORT_IN_USE", false],
  ["ERR_OTHER", false],
  ["ERR_TIMEOUT", false],
  ["ERR_AUTHENTICATION", true],
  ["ERR_HOST_KEY", true],
  ["ERR_INVALID_ARGUMENT", true],
  ["ERR_TASK_LOST", true],
] as const)("%s is final: %s", (code, final) => {
  expect(isFinal(failure(code))).toBe(final);
  expect(isFinal(new Error(code))).toBe(false);
});

describe("the way back", () => {
  test("is tried soon at first, then less often, for ever", async () => {
    const { way, pauses } = comeBack();
    expect(await way.run(attempt(100), signal, () => undefined)).toBe("there");
    expect(pauses.slice(0, 7)).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000]);
    expect(pauses.at(-1)).toBe(30_000);
    vi.advanceTimersByTime(10_000);
    pauses.length = 0;
    await way.run(attempt(0), signal, () => undefined);
    expect(pauses).toEqual([250]);
  });

  test("is not taken again at once by what is lost again at once", async () => {
    const { way, pauses } = comeBack();
    for (let times = 0; times < 6; times++) await way.run(attempt(0), signal, () => undefined);
    expect(pauses).toEqual([250, 500, 1000, 2000, 4000, 5000]);
  });

  test("ends with what is final, and tells each failure", async () => {
    const { way, pauses } = comeBack();
    const told: unknown[] = [];
    const tried = vi
      .fn<() => Promise<never>>()
      .mockRejectedValueOnce(failure("ERR_INVALID_RUNTIME"))
      .mockRejectedValue(failure("ERR_HOST_KEY"));
    await expect(way.run(tried, signal, (error) => told.push(error))).rejects.toMatchObject({
      data: { code: "ERR_HOST_KEY" },
    });
    expect(pauses).toEqual([250, 500]);
    expect(told).toMatchObject([{ message: "ERR_INVALID_RUNTIME" }, { message: "ERR_HOST_KEY" }]);
  });

  test("ends when the patience is over, or it is not wanted any more", async () => {
    const { way } = comeBack(60_000);
    await expect(way.run(attempt(1000), signal, () => undefined)).rejects.toMatchObject({
      data: { code: "ERR_CONNECTION" },
    });
    const stop = new AbortController();
    const tried = vi.fn(() => (stop.abort(), Promise.reject(failure("ERR_CONNECTION"))));
    await expect(comeBack().way.run(tried, stop.signal, () => undefined)).rejects.toBeDefined();
    expect(tried).toHaveBeenCalledTimes(1);
  });
});
