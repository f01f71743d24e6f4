import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type TaskChange, type TaskRecord, applyChange, isPossible, startRecord } from "../../src/engine/protocol";

function start(steps: number): TaskRecord {
  const kinds = Array.from({ length: steps }, () => ({ kind: "runCommand" as const, description: "run true" }));
  return startRecord({ id: "1", name: "t", host: "h", logFile: "/l", startedAt: 100, steps: kinds });
}

const change: fc.Arbitrary<TaskChange> = fc.oneof(
  fc.record({ kind: fc.constant("stepStarted" as const), step: fc.nat(3), time: fc.nat() }),
  fc.record({ kind: fc.constant("pid" as const), pid: fc.nat() }),
  fc.record({
    kind: fc.constant("stepEnded" as const),
    step: fc.nat(3),
    state: fc.constantFrom("done", "failed", "cancelled", "lost"),
    exitCode: fc.option(fc.nat(255)),
    signal: fc.constant(null),
    time: fc.nat(),
  }),
  fc.record({
    kind: fc.constant("end" as const),
    state: fc.constantFrom("done", "failed", "cancelled", "lost"),
    failure: fc.constant(null),
    time: fc.nat(),
  }),
);

describe("a task's record", () => {
  it("settles at most once, runs one step at a time in order, and starts each at most once, whatever comes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(change, { maxLength: 60 }), (steps, changes) => {
        let record = start(steps);
        let ends = 0;
        const started: number[] = [];
        for (const next of changes) {
          if (!isPossible(record, next)) {
            expect(() => applyChange(record, next)).toThrow();
            continue;
          }
          record = applyChange(record, next);
          if (next.kind === "end") ends += 1;
          if (next.kind === "stepStarted") started.push(next.step);
          expect(record.steps.filter((step) => step.state === "running").length).toBeLessThanOrEqual(1);
          if (record.state === "done") expect(record.steps.every((step) => step.state === "done")).toBe(true);
          if (record.state !== "running") expect(record.steps.some((step) => step.state === "running")).toBe(false);
        }
        expect(ends).toBeLessThanOrEqual(1);
        expect(started).toEqual([...started.keys()]);
      }),
      { numRuns: 2000 },
    );
  });

  it("is lost with the step that ran when nobody sees it any more", () => {
    const running = applyChange(start(2), { kind: "stepStarted", step: 0, time: 150 });
    const lost = applyChange(running, { kind: "end", state: "lost", failure: null, time: 300 });
    expect(lost.state).toBe("lost");
    expect(lost.durationMs).toBe(200);
    expect(lost.steps.map((step) => step.state)).toEqual(["lost", "new"]);
  });

  it("never has negative durations, also when the clock was set back", () => {
    const running = applyChange(start(1), { kind: "stepStarted", step: 0, time: 500 });
    const done = applyChange(running, {
      kind: "stepEnded",
      step: 0,
      state: "done",
      exitCode: 0,
      signal: null,
      time: 400,
    });
    expect(done.steps[0]?.durationMs).toBe(0);
  });
});
