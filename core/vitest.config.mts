import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/left-behind.ts"],
    // Processes, not threads: tests signal, fork and count file descriptors.
    pool: "forks",
    // Most of them wait for hosts most of the time; vitest would leave a core free.
    maxWorkers: Math.max(availableParallelism(), 2),
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
