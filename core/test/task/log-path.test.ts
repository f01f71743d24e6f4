import fc from "fast-check";
import { basename, dirname, join } from "path";
import { describe, expect, it } from "vitest";
import { fileName, logPath } from "../../src/task/log-path";

describe("log paths", () => {
  it("have the reference's layout", () => {
    const path = logPath("/main", "host-1", "my-task", new Date("2026-01-02T03:04:05.678Z"));
    expect(path).toMatch(/^\/main\/execution_log\/host-1\/my-task_20260102_030405\.678_[0-9a-f]{6}\.log$/);
  });

  it("stay in their folder, whatever the names are", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1 }), fc.string({ minLength: 1 }), (host, task) => {
        const path = logPath("/main", host, task, new Date(0));
        expect(dirname(dirname(path))).toBe(join("/main", "execution_log"));
        expect(Buffer.byteLength(basename(path))).toBeLessThan(250);
        expect(path).toMatch(/^[A-Za-z0-9_@+=,.%~/-]+$/);
      }),
    );
  });

  it("are different for different short names", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), fc.string({ maxLength: 20 }), (a, b) => {
        expect(fileName(a) === fileName(b)).toBe(Buffer.from(a).equals(Buffer.from(b)));
      }),
    );
    expect(fileName("..")).toBe("%2E.");
    expect(fileName("a/b")).toBe("a%2Fb");
    expect(fileName("-x")).toBe("%2Dx");
  });
});
