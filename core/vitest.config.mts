import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/left-behind.ts"],
    // Processes, not threads: tests signal, fork and count file descriptors.
    pool: "forks",
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
