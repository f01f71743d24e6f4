/** What failed on several hosts, as one error. */
import { listed } from "../errors";

/** The one that there is; of several the first one, which also names the others. */
export function failureOfHosts(failures: readonly unknown[], hosts: number): unknown {
  const [first] = failures;
  if (failures.length < 2 || !(first instanceof Error)) return first;
  const messages = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)));
  const all = `${String(failures.length)} of ${String(hosts)} hosts failed:\n${listed(messages)}`;
  // Its class stays, by which callers tell what to do. Node prints the stack, which has a copy of the message.
  const stack = first.stack?.replace(first.message, () => all);
  first.message = all;
  if (stack !== undefined) first.stack = stack;
  return first;
}
