/** What a host has, as people and programs read it. */
import { formatBytes } from "../display";
import type { HostFacts } from "../engine/protocol";

/**
 * What a host has. Sizes in [bytes]. What changes (load, what is free) is as it was when it was asked. (Python: the map that
 * `Runtime.info` gives.)
 */
export interface RuntimeInfo extends HostFacts {
  readonly host: string;
  /** Such as `Debian GNU/Linux 12 (bookworm)`. */
  readonly os: string;
  /** Container quotas (cgroup v1, v2) count, so it may be a fraction. */
  readonly cpuCores: number;
  /** In total; container limits count. */
  readonly memory: number;
  /** What programs could have now. */
  readonly memoryAvailable: number;
  /** Of the last 1, 5 and 15 minutes; empty: unknown. */
  readonly loadAverage: readonly number[];
  /** Of the file system where the steps run. */
  readonly diskTotal: number;
  readonly diskFree: number;
  /** A name for each GPU. */
  readonly gpus: readonly string[];
  /** Such as `3.11.7`. */
  readonly pythonVersion: string;
}

export const INFO_HEAD = ["HOST", "CPU", "MEMORY", "GPU", "OS", "PYTHON"] as const;

/** A row below INFO_HEAD. */
export function infoRow(info: RuntimeInfo): string[] {
  return [
    info.host,
    formatCores(info.cpuCores),
    formatBytes(info.memory),
    formatGpus(info.gpus),
    info.os,
    info.pythonVersion,
  ];
}

/** Lines of name and value, for `printInfo`. */
export function infoLines(info: RuntimeInfo): string[][] {
  const load = info.loadAverage.map((value) => value.toFixed(2)).join(", ");
  return [
    ["OS", info.os],
    ["CPU cores", `${formatCores(info.cpuCores)}${load === "" ? "" : ` (load ${load})`}`],
    ["Memory", `${formatBytes(info.memory)} (${formatBytes(info.memoryAvailable)} available)`],
    ["Disk", `${formatBytes(info.diskTotal)} (${formatBytes(info.diskFree)} free)`],
    ["GPUs", formatGpus(info.gpus)],
    ["Python", info.pythonVersion],
  ];
}

function formatCores(cores: number): string {
  return String(Math.round(cores * 100) / 100);
}

/** Such as `2 x NVIDIA L4`. */
function formatGpus(gpus: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const gpu of gpus) counts.set(gpu, (counts.get(gpu) ?? 0) + 1);
  const texts = [...counts].map(([name, count]) => (count === 1 ? name : `${String(count)} x ${name}`));
  return texts.join(", ") || "none";
}
