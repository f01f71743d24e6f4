/** A kernel that ends when it should. */

const parentCheckMs = 1000;

/** A Jupyter server that was killed can ask nothing of its kernels any more; they would run for ever. */
export function exitWithParent(): void {
  const parent = process.ppid;
  // Only where a Jupyter server says that it is the parent: in a shell the kernel may well be left alone.
  if (process.env["JPY_PARENT_PID"] !== String(parent)) return;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1);
  }, parentCheckMs).unref();
}
