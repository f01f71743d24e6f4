import fc from "fast-check";
import { expect, it } from "vitest";
import { type ExposureChange, changeExposure, loseExposure, startExposure } from "../../src/engine/protocol";

const record = startExposure({
  ...{ id: "1", at: null, port: 8080, to: "h", targetPort: 80, anyUser: null, startedAt: 100 },
  ...{ way: { listener: "manager", dialer: "sshd" }, interrupted: null },
});
const failure = { code: "ERR_HOST_KEY", message: "h: another key" } as const;
const change: fc.Arbitrary<ExposureChange> = fc.oneof(
  fc.record({ kind: fc.constant("down" as const), message: fc.constant("the cable") }),
  fc.record({ kind: fc.constant("up" as const) }),
  fc.record({
    kind: fc.constant("way" as const),
    way: fc.constant({ listener: "manager" as const, dialer: "agent" as const }),
  }),
  fc.record({ kind: fc.constant("end" as const), failure: fc.constantFrom(null, failure) }),
);

it("an exposure's record ends once, and nothing changes it afterwards, whatever comes", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(change, fc.nat())), (changes) => {
      let current = record;
      for (const [next, time] of changes) {
        const before = current;
        current = changeExposure(current, next, time);
        if (before.state !== "running") expect(current).toBe(before);
        else if (next.kind === "end") {
          expect(current.state).toBe(next.failure === null ? "done" : "failed");
          expect(current.durationMs).toBe(Math.max(0, time - 100));
        } else expect(current.durationMs).toBeNull();
        // Only what runs can be interrupted.
        if (current.state !== "running") expect(current.interrupted).toBeNull();
        expect(loseExposure(current).state).toBe(current.state === "running" ? "lost" : current.state);
      }
    }),
  );
});

it("tells the way and the interruption that were last", () => {
  const down = changeExposure(record, { kind: "down", message: "the cable" }, 200);
  expect(down.interrupted).toBe("the cable");
  expect(changeExposure(down, { kind: "up" }, 300).interrupted).toBeNull();
  const way = { listener: "manager", dialer: "agent" } as const;
  expect(changeExposure(record, { kind: "way", way }, 200).way).toEqual(way);
});
