/** The engine's thread outlives a fault of ours, and tells of it. */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, expect, test } from "vitest";
import { type Workspace, eventually, workspace } from "../support";

const space: Workspace = workspace(null);
afterAll(() => space.remove());

test("an exception that nobody catches is told, and the thread goes on", async () => {
  const worker = new Worker(join(__dirname, "..", "..", "dist", "engine", "worker.js"), {
    workerData: { title: "test" },
  });
  const heard: { type: string; level?: string; message?: string; id?: number; ok?: boolean }[] = [];
  let failed = 0;
  worker.on("message", (messages: typeof heard) => heard.push(...messages)).on("error", () => (failed += 1));
  try {
    // No message of the protocol: its handler fails where no promise takes the error.
    worker.postMessage(null);
    worker.postMessage({ type: "request", id: 7, kind: "endSession", body: { owner: "x", session: "y" } });
    await eventually(
      () => expect(heard.find(({ type }) => type === "response")).toMatchObject({ id: 7, ok: true }),
      10_000,
    );
    expect(heard.find(({ type }) => type === "log")).toMatchObject({
      level: "error",
      message: expect.stringMatching(/^a fault in the engine: TypeError.*\n +at /) as string,
    });
    expect(failed).toBe(0);
  } finally {
    await worker.terminate();
  }
});
