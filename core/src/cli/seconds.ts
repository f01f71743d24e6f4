/** `--timeout <seconds>` of every command. */
import { CommandFailure, EXIT } from "./output";

/** As steps take it; nothing without the option. Throws CommandFailure for what is no positive number. */
export function limitOf(timeout: string | undefined): { timeoutMs?: number } {
  if (timeout === undefined) return {};
  const seconds = timeout.trim() === "" ? NaN : Number(timeout);
  if (Number.isFinite(seconds) && seconds > 0) return { timeoutMs: seconds * 1000 };
  throw new CommandFailure(`--timeout takes a positive number of seconds, not ${JSON.stringify(timeout)}.`, EXIT.usage);
}
