import { Environment } from "../../environment";
import { CommandFailure, EXIT, printLine } from "../output";
import { configPath, readConfig, replaceConfig } from "../ssh-config-file";
import { NotRemovable, linesOfHost, removeHost } from "../ssh-config-text";
import { configFiles } from "../../runtime";

/** Removes a host from the ssh config, and from the files that it includes. */
export function deleteRuntime(name: string, options: { config?: string }): void {
  const main = configPath(options.config ?? (Environment.sshConfigFile || null));
  const files = configFiles(main).filter((path) => linesOfHost(readConfig(path), name).length > 0);
  if (files.length === 0) {
    throw new CommandFailure(
      `${main} names no host ${name}; \`lazycluster list-runtimes\` shows those that there are.`,
      EXIT.failed,
    );
  }
  for (const path of files) {
    const former = readConfig(path);
    try {
      replaceConfig(path, former, removeHost(former, name));
    } catch (error) {
      if (!(error instanceof NotRemovable)) throw error;
      throw new CommandFailure(`${path}: ${error.message}; remove ${name} there by hand.`, EXIT.failed);
    }
    printLine(`Runtime ${name} was removed from ${path}.`);
  }
}
