/** Which hosts `--on` and `--group` mean. */
import { Environment } from "../environment";
import { CommandFailure, EXIT } from "./output";
import { configuredHosts } from "../runtime";

/**
 * @param text names with commas, or `all`: every host of the ssh config
 * @param option by which the user gave it
 * @throws CommandFailure
 */
export function hostsOf(text: string, option = "--on"): string[] {
  const hosts =
    text === "all" ? configuredHosts(Environment.sshConfigFile || null) : text.split(",").map((name) => name.trim());
  const named = [...new Set(hosts.filter((name) => name !== ""))];
  if (named.length > 0) return named;
  throw new CommandFailure(
    text === "all"
      ? "The ssh config names no hosts."
      : `${option} takes names of hosts with commas between them, or all.`,
    EXIT.usage,
  );
}
