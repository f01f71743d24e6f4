import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** What depends on the connection alone. */
const CONNECTIONS = ["test/host/connect.test.ts", "test/host/jump.test.ts", "test/ports/traffic.test.ts"];

export default defineConfig({
  test: {
    globalSetup: ["test/left-behind.ts"],
    // Processes, not threads: tests signal, fork and count file descriptors.
    pool: "forks",
    // Most of them wait for hosts most of the time; vitest would leave a core free.
    maxWorkers: Math.max(availableParallelism(), 2),
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      { extends: true, test: { name: "core", include: ["test/**/*.test.ts"] } },
      // Again, on hosts that make new keys all the time: `npx vitest run --project rekey`.
      {
        extends: true,
        test: { name: "rekey", include: CONNECTIONS, env: { LAZYCLUSTER_TEST_SSHD: "RekeyLimit 1M 5s" } },
      },
    ],
  },
});
