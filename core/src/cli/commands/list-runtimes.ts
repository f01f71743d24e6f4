import { oneLine } from "../../display";
import { INFO_HEAD, type RuntimeInfo, configName, infoRow, noHosts, probeHosts } from "../../runtime";
import { CommandFailure, EXIT, printJson, printLine, printTable } from "../output";

/** The hosts of the ssh config, probed in parallel: which are usable, and why the others are not. */
export async function listRuntimes(options: { long?: boolean; json?: boolean }): Promise<void> {
  const known = new Map<string, Partial<RuntimeInfo>>();
  const probes = await probeHosts({}, "list-runtimes", async (runtime) => {
    const { host } = runtime;
    if (options.long) known.set(host, await runtime.info);
    else known.set(host, { pythonVersion: (await runtime.reach()).pythonVersion });
  });
  if (probes.length === 0) {
    throw new CommandFailure(noHosts(configName(undefined, "list-runtimes")), EXIT.failed);
  }
  const active = probes.filter(({ error }) => !error).map(({ runtime }) => runtime.host);
  const inactive = probes.flatMap(({ runtime, error }) => (error ? [{ host: runtime.host, error }] : []));
  if (options.json) {
    printJson(
      probes.map(({ runtime: { host }, error }) => ({
        host,
        active: error === null,
        ...known.get(host),
        reason: error?.message ?? null,
      })),
    );
  } else {
    printLine(`Active runtimes: ${String(active.length)} of ${String(probes.length)}`);
    if (options.long)
      printTable(
        INFO_HEAD,
        active.map((host) => infoRow(known.get(host) as RuntimeInfo)),
      );
    else for (const host of active) printLine(`  ${host}`);
    if (inactive.length > 0) printLine("Inactive runtimes:");
    for (const { host, error } of inactive) printLine(`  ${host}: ${oneLine(error.message, 300)}`);
  }
  await Promise.all(probes.map(({ runtime }) => runtime.close()));
}
