import { defineConfig } from "vitest/config";

/** What depends on the connection alone. */
const CONNECTIONS = ["test/host/connect.test.ts", "test/host/jump.test.ts", "test/ports/traffic.test.ts"];

export default defineConfig({
  test: {
    // Processes, not threads: tests signal, fork and count file descriptors.
    pool: "forks",
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
