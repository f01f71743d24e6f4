/** Runs the small programs of OpenSSH that answer questions: `ssh -G`, `ssh-keygen -F`. */

import { spawn } from "node:child_process";

export interface ToolResult {
  /** Null when it was killed: by the time limit, the signal, or someone else. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

const MAX_OUTPUT = 4 * 1024 * 1024;

/**
 * Runs a program to its end, without a shell and without input. Rejects only when it cannot be started (`ENOENT`).
 * It is a session of its own: an interrupt of the notebook's process group must not end it half-way.
 */
export function runTool(
  command: string,
  args: readonly string[],
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    let size = 0;
    let timedOut = false;

    const stop = (): void => {
      child.kill("SIGKILL");
      // A grandchild (`Match exec`) may hold the pipes open; nobody waits for that.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(() => {
      timedOut = true;
      stop();
    }, options.timeoutMs);
    options.signal.addEventListener("abort", stop, { once: true });
    if (options.signal.aborted) stop();

    for (const name of ["stdout", "stderr"] as const) {
      child[name].on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_OUTPUT) stop();
        else output[name].push(chunk);
      });
    }
    const done = (): void => {
      clearTimeout(timer);
      options.signal.removeEventListener("abort", stop);
    };
    child.on("error", (error) => {
      done();
      reject(error);
    });
    child.on("close", (code) => {
      done();
      const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString("utf8");
      resolve({ code, stdout: text(output.stdout), stderr: text(output.stderr), timedOut });
    });
  });
}
