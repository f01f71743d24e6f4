import { execFile } from "child_process";
import { join } from "path";
import { promisify } from "util";
import { expect, test } from "vitest";
import { ThreadState } from "../../../src/notebook/interrupt/thread-state";

test("whatever is late, a thread is stopped where it stands, or not at all", { timeout: 120_000 }, async () => {
  // It ends with the error of Node where it was stopped anywhere else.
  const flags = Number.parseInt(process.versions.node, 10) >= 24 ? ["--expose-internals"] : [];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, join(__dirname, "rendezvous.cjs")], {
    timeout: 110_000,
  });
  const counts = JSON.parse(stdout) as Record<"rounds" | "stopped" | "heard" | "waits" | "contexts" | "loop", number>;
  expect(counts.rounds).toBe(4 * 5 * 7);
  // Of each round it hears that it was asked for, whether or not it was stopped first.
  expect(counts.heard).toBe(counts.rounds);
  // A loop cannot end in another way.
  expect(counts.stopped).toBeGreaterThanOrEqual(3 * 5 * 7);
  for (const work of ["waits", "contexts", "loop"] as const) expect(counts[work]).toBeGreaterThan(0);
});

test("an offer that was withdrawn, or is not the latest, means nothing", () => {
  const state = new ThreadState();
  const met: string[] = [];
  const meet = (offer: number): void =>
    state.stand(
      offer,
      () => (met.push("asked"), true),
      () => met.push("prepared"),
    );
  state.ask();
  const first = state.offer();
  expect(state.answerTo(first)).toBe("none");
  expect(state.withdraw(first)).toBe(true);
  meet(first);
  const second = state.offer();
  meet(first);
  expect(state.answerTo(second)).toBe("none");
  expect(state.deliver(second, () => met.push("posted"))).toBe(false);
  expect(met).not.toContain("prepared");
  expect(met).not.toContain("posted");
});

test("a thread that has heard, or may not be stopped where it is, declines", () => {
  const state = new ThreadState();
  const refuse = (): never => {
    throw new Error("nothing is stopped");
  };
  state.ask();
  const first = state.offer();
  state.stand(first, () => false, refuse);
  expect(state.answerTo(first)).toBe("declined");
  state.hear();
  const second = state.offer();
  state.stand(second, () => true, refuse);
  expect(state.answerTo(second)).toBe("declined");
  expect(state.withdraw(second)).toBe(false);
});

test("a thread does not stand for ever for one that has ended", () => {
  const state = new ThreadState(undefined, { standMs: 1 });
  state.ask();
  const offer = state.offer();
  const prepared: unknown[] = [];
  state.stand(
    offer,
    () => true,
    () => prepared.push(offer),
  );
  expect(prepared).toEqual([]);
  expect(state.answerTo(offer)).toBe("declined");
});
