import { DemoError, demoCommandOutput, demoDown, demoStatus, demoUp } from "../demo";
import { CommandFailure, EXIT, printJson, printLine } from "../output";

/** Real ssh hosts on this machine to try things on. */
export async function demo(action: string, options: { count?: string; json?: boolean }): Promise<void> {
  const count = Number(options.count ?? 2);
  if (!Number.isInteger(count) || count < 1 || count > 64) {
    throw new CommandFailure(`--count is a number from 1 to 64, not ${JSON.stringify(options.count)}.`, EXIT.usage);
  }
  try {
    const state = action === "up" ? await demoUp({ count }) : action === "down" ? await demoDown() : demoStatus();
    if (options.json) printJson(state);
    else printLine(demoCommandOutput(state));
  } catch (error) {
    if (error instanceof DemoError) throw new CommandFailure(error.message, EXIT.failed);
    throw error;
  }
}
