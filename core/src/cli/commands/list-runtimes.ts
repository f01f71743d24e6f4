import { Environment } from "../../environment";
import { LazyclusterError } from "../../errors";
import { oneLine } from "../../display";
import { Runtime } from "../../runtime";
import { configuredHosts } from "../ssh-hosts";
import { CommandFailure, EXIT, printJson, printLine, printTable } from "../output";

interface Probe {
  readonly host: string;
  readonly active: boolean;
  readonly pythonVersion: string | null;
  readonly reason: string | null;
}

/** The hosts of the ssh config, probed in parallel: which are usable, and why the others are not. */
export async function listRuntimes(options: { long?: boolean; json?: boolean }): Promise<void> {
  const hosts = configuredHosts(Environment.sshConfigFile || null);
  if (hosts.length === 0) {
    const file = Environment.sshConfigFile || "~/.ssh/config";
    throw new CommandFailure(
      `${file} names no hosts. Add a \`Host\` entry, or try \`lazycluster demo up\`.`,
      EXIT.failed,
    );
  }
  const probes = await Promise.all(hosts.map(probe));
  if (options.json) {
    printJson(probes);
    return;
  }
  const active = probes.filter((found) => found.active);
  const inactive = probes.filter((found) => !found.active);
  printLine(`Active runtimes: ${String(active.length)} of ${String(probes.length)}`);
  if (options.long) {
    printTable(
      ["HOST", "PYTHON"],
      active.map((found) => [found.host, found.pythonVersion ?? ""]),
    );
  } else {
    for (const found of active) printLine(`  ${found.host}`);
  }
  if (inactive.length === 0) return;
  printLine("Inactive runtimes:");
  for (const found of inactive) printLine(`  ${found.host}: ${oneLine(found.reason ?? "", 300)}`);
}

async function probe(host: string): Promise<Probe> {
  const runtime = new Runtime(host);
  try {
    return { host, active: true, pythonVersion: await runtime.pythonVersion, reason: null };
  } catch (error) {
    if (!(error instanceof LazyclusterError)) throw error;
    return { host, active: false, pythonVersion: null, reason: error.message };
  } finally {
    await runtime.close();
  }
}
