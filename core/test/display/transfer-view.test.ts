import { describe, expect, it } from "vitest";
import { shareOf, taskBundle, transferText } from "../../src/display";
import { TransferRate } from "../../src/task/transfer-rate";

const MB = 1024 * 1024;

describe("a transfer", () => {
  it("says how much, how fast, and how long it takes", () => {
    const transfer = { bytes: 12 * MB, totalBytes: 40 * MB, bytesPerSecond: 8 * MB };
    expect(transferText(transfer, true)).toBe("12.0 MB of 40.0 MB, 8.0 MB/s, 3.5 s left");
    expect(transferText(transfer, false)).toBe("12.0 MB of 40.0 MB");
    expect(transferText({ bytes: 5, totalBytes: null, bytesPerSecond: 0 }, true)).toBe("5 B");
    expect(transferText(null, true)).toBe("");
    expect(shareOf(transfer)).toBe(0.3);
    expect(shareOf({ ...transfer, totalBytes: 0 })).toBe(1);
    expect(shareOf({ ...transfer, totalBytes: null })).toBeNull();
  });

  it("has a bar in a notebook while it runs", () => {
    const step = { description: "send", state: "running", exitCode: null, durationMs: null };
    const transfer = { bytes: MB, totalBytes: 4 * MB, bytesPerSecond: MB };
    const view = { name: "t", host: "h", state: "running", durationMs: 1, output: "", error: null, logFile: null };
    const html = (state: string): unknown =>
      taskBundle({ ...view, steps: [{ ...step, state, transfer }] })["text/html"];
    expect(html("running")).toContain('<progress value="0.250" max="1"');
    expect(html("running")).toContain("1.0 MB of 4.0 MB, 1.0 MB/s, 3.0 s left");
    expect(html("done")).not.toContain("<progress");
  });

  it("is as fast as in the last seconds", () => {
    const rate = new TransferRate();
    expect(rate.at(0, 0)).toBe(0);
    expect(rate.at(1000, 1000)).toBe(1000);
    for (let time = 2000; time <= 10_000; time += 1000) rate.at(time, 1000 + (time - 1000) * 5);
    expect(rate.at(11_000, 51_000)).toBe(5000);
    expect(rate.at(11_000, 0)).toBe(0);
  });
});
