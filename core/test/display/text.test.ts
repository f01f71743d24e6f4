import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  arrayBundle,
  columns,
  errorBundle,
  escapeHtml,
  formatBytes,
  formatDuration,
  frameBundle,
  logBundle,
  oneLine,
  tableBundle,
  taskBundle,
} from "../../src/display";

describe("text for people", () => {
  it("aligns columns", () => {
    expect(
      columns([
        ["a", "bbb", "c"],
        ["aaa", "b", ""],
      ]),
    ).toEqual(["a    bbb  c", "aaa  b"]);
  });

  it("shows durations and sizes", () => {
    expect([0, 999, 1500, 61_000, 3_600_000].map(formatDuration)).toEqual([
      "0 ms",
      "999 ms",
      "1.5 s",
      "1 min 1 s",
      "60 min 0 s",
    ]);
    expect([0, 1023, 1024, 1536 * 1024, 1024 ** 3 * 200].map(formatBytes)).toEqual([
      "0 B",
      "1023 B",
      "1.0 KB",
      "1.5 MB",
      "200 GB",
    ]);
  });

  it("is one harmless line", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(oneLine(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
        expect(oneLine(text).length).toBeLessThanOrEqual(80);
      }),
    );
  });
});

describe("a task's table", () => {
  it("never lets text of a host become markup", () => {
    const evil = `<img src=x onerror="alert('1')">&`;
    const html = taskBundle({
      name: evil,
      host: evil,
      state: "failed",
      durationMs: 5,
      steps: [{ description: evil, state: "failed", exitCode: 1, durationMs: 5, transfer: null }],
      output: evil,
      error: evil,
      logFile: evil,
    })["text/html"];
    expect(html).not.toContain("<img");
    expect(html).not.toContain("'1'");
    expect(escapeHtml(evil)).not.toMatch(/[<>"']/);
  });

  it("tells notebooks that dollar signs make no formula", () => {
    const text = "costs $1 or $2";
    for (const { "text/html": html } of [
      tableBundle({ title: text, head: [text], rows: [[text]] }),
      frameBundle({ length: 1, columns: [{ name: text, dtype: "", items: [text] }] }),
      arrayBundle({ dtype: text, shape: [1], data: [1] }),
      errorBundle({ title: text, details: [[text, text]], trace: [text] }),
      logBundle({ title: text, text, omitted: 0, logFile: text }),
    ])
      expect(html).toMatch(/^<div class="tex2jax_ignore mathjax_ignore"[^>]*>[^]*<\/div>$/);
  });

  it("says which step failed, with its exit code, in plain text", () => {
    const text = taskBundle({
      name: "clean",
      host: "host-1",
      state: "failed",
      durationMs: 1500,
      steps: [
        {
          description: "send a.csv",
          state: "done",
          exitCode: null,
          durationMs: 3,
          transfer: { bytes: 1024, totalBytes: null, bytesPerSecond: 0 },
        },
        { description: "run false", state: "failed", exitCode: 1, durationMs: 2, transfer: null },
      ],
      output: "",
      error: "it failed",
      logFile: null,
    })["text/plain"];
    expect(text).toBe(
      "Task clean: failed on host-1, 1.5 s\n  0  send a.csv  done    1.0 KB       3 ms\n  1  run false   failed  exit code 1  2 ms\nit failed",
    );
  });
});
