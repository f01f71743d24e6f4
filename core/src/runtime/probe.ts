/** Which hosts are usable now, and why the others are not. */
import { existsSync } from "fs";
import { absolutePath } from "../environment";
import { InvalidRuntimeError, LazyclusterError } from "../errors";
import { type RuntimeOptions, checkConfigFile } from "./host-options";
import { Runtime } from "./runtime";
import { configuredHosts } from "./ssh-hosts";

export interface Probe {
  readonly runtime: Runtime;
  /** Null: it is usable. */
  readonly error: InvalidRuntimeError | null;
}

/** The ssh config that the hosts come from, for messages. */
export function configName(sshConfigFile: string | undefined, what: string): string {
  return checkConfigFile(sshConfigFile, what) ?? "~/.ssh/config";
}

/** Why there is nothing to probe, and what to do. */
export function noHosts(file: string): string {
  const there = existsSync(absolutePath(file));
  return `${file} ${there ? "names no hosts" : "does not exist"}. Add a Host entry for each machine, or try \`lazycluster demo up\`.`;
}

/**
 * All hosts of the ssh config, in its order, asked in parallel. Who asks closes the runtimes.
 *
 * @param ask what makes a host usable; default: a connection and Python.
 */
export async function probeHosts(
  options: Omit<RuntimeOptions, "workingDir">,
  what: string,
  ask: (runtime: Runtime) => Promise<unknown> = (runtime) => runtime.reach(),
): Promise<Probe[]> {
  const hosts = configuredHosts(checkConfigFile(options.sshConfigFile, what));
  const runtimes = hosts.map((host) => new Runtime(host, options));
  return Promise.all(
    runtimes.map(async (runtime) => {
      try {
        await ask(runtime);
        return { runtime, error: null };
      } catch (error) {
        if (!(error instanceof LazyclusterError)) throw error;
        await runtime.close();
        return { runtime, error: asInvalid(error, runtime.host) };
      }
    }),
  );
}

function asInvalid(error: LazyclusterError, host: string): InvalidRuntimeError {
  return error instanceof InvalidRuntimeError ? error : new InvalidRuntimeError(error.message, { host, cause: error });
}
