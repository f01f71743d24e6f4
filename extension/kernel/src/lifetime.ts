/** A kernel that ends when it should. */
import type { TslabServer } from "./tslab";

/** For the reply to the shutdown request, which is still on its way. */
const farewellMs = 100;
const parentCheckMs = 1000;

/** tslab closes its sockets and then waits for the event loop to run empty, which a timer or a connection of a cell prevents. */
export function exitAfterShutdown(server: TslabServer): void {
  const { close } = server;
  server.close = function () {
    close.call(this);
    setTimeout(() => process.exit(0), farewellMs);
  };
}

/** A Jupyter server that was killed can ask nothing of its kernels any more; they would run for ever. */
export function exitWithParent(): void {
  const parent = process.ppid;
  // Only where a Jupyter server says that it is the parent: in a shell the kernel may well be left alone.
  if (process.env["JPY_PARENT_PID"] !== String(parent)) return;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1);
  }, parentCheckMs).unref();
}
