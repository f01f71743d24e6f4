/** Ctrl-C and its kin as an AbortSignal: the first one ends the work politely, the second one the process. */
import { setMaxListeners } from "events";
import { notebookCommand } from "./context";
import { EXIT } from "./output";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Asked for once by a command; as many as want may listen to it. */
export function interruptSignal(): AbortSignal {
  // There the process is the user's, and the cell is what is interrupted.
  const cell = notebookCommand();
  if (cell) return cell.signal;
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort();
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return controller.signal;
}
