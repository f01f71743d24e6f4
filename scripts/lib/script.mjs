/** What every script does around its work: listens for Ctrl-C, prints errors for people, ends what was started. */
import { Lifetime, Stopped } from "./lifetime.mjs";

/** As a shell reports a program that Ctrl-C has ended. */
const stoppedExitCode = 130;

/**
 * @param {(lifetime: Lifetime) => Promise<number>} work gives the exit code
 */
export async function runScript(work) {
  const lifetime = new Lifetime();
  lifetime.listen();
  let exitCode;
  try {
    exitCode = await work(lifetime);
  } catch (error) {
    if (lifetime.signal.aborted || error instanceof Stopped) exitCode = stoppedExitCode;
    else {
      exitCode = 1;
      console.error(`\n${error instanceof Error ? error.message : String(error)}`);
    }
  }
  await lifetime.end();
  process.exitCode = exitCode;
}
