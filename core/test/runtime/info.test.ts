/** Rows of API.md: `info`, `os`, `cpu_cores`, `memory`, `memory_in_mb`, `python_version`, `gpus`, `gpu_count`, `print_info`, `check_filter`. */
import { chmodSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts } from "../hosts";
import {
  Environment,
  InvalidArgumentError,
  InvalidRuntimeError,
  Runtime,
  type RuntimeType,
  type Workspace,
  expectCleanHost,
  printed,
  rejection,
  workspace,
} from "../support";

const MB = 1024 * 1024;
let hosts: TestHosts;
let host: TestHost;
let space: Workspace;
let runtime: RuntimeType;

beforeAll(async () => {
  hosts = await startHosts({ path: "/tmp/bin:/usr/local/bin:/usr/bin:/bin" });
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
});
beforeEach(() => (runtime = new Runtime("host-1")));
afterEach(async () => {
  await runtime.close();
  await expectCleanHost(host, 2000);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
});

/** A program on the host's PATH. */
function install(name: string, script: string): void {
  const bin = join(host.dir, "tmp", "bin");
  mkdirSync(bin, { recursive: true });
  chmodSync(bin, 0o755);
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

describe("info", () => {
  it("os, cpuCores, memory, memoryInMb, pythonVersion, gpus, gpuCount and info come from one question", async () => {
    install("nvidia-smi", "echo asked >> /tmp/bin/asked; echo NVIDIA L4; echo NVIDIA L4");
    const [os, cpuCores, memory, memoryInMb, pythonVersion, gpus, gpuCount, info] = await Promise.all([
      runtime.os,
      runtime.cpuCores,
      runtime.memory,
      runtime.memoryInMb,
      runtime.pythonVersion,
      runtime.gpus,
      runtime.gpuCount,
      runtime.info,
    ]);
    expect(info).toMatchObject({ host: "host-1", os, cpuCores, memory, pythonVersion, gpus });
    const release = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
    expect(os).toBe(release);
    const processors = Number((await host.exec(["nproc"])).stdout);
    expect(cpuCores).toBeGreaterThan(0);
    expect(cpuCores).toBeLessThanOrEqual(processors);
    const kilobytes = Number(/MemTotal: +(\d+) kB/.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]);
    expect(memory).toBeGreaterThan(0);
    expect(memory).toBeLessThanOrEqual(kilobytes * 1024);
    expect(memoryInMb).toBe(Math.floor(memory / MB));
    expect(pythonVersion).toMatch(/^3\.\d+\.\d+/);
    expect([gpus, gpuCount]).toEqual([["NVIDIA L4", "NVIDIA L4"], 2]);
    expect(info.loadAverage).toHaveLength(3);
    const { blocks, bsize } = statfsSync(join(host.dir, "tmp"));
    expect(info.diskTotal).toBe(blocks * bsize);
    expect(info.memoryAvailable).toBeLessThanOrEqual(memory);
    expect((await host.exec(["cat", "/tmp/bin/asked"])).stdout).toBe("asked\n");
    await host.exec(["rm", "/tmp/bin/nvidia-smi", "/tmp/bin/asked"]);
    // Cached: the GPUs are still those of the first answer.
    expect(await runtime.gpuCount).toBe(2);
    await runtime.cleanup();
    expect(await runtime.gpuCount).toBe(0);
  });

  it("a failure is not cached", async () => {
    await host.stopSshd();
    try {
      expect(await rejection(runtime.cpuCores)).toBeInstanceOf(InvalidRuntimeError);
      expect(await rejection(runtime.info)).toMatchObject({ host: "host-1" });
    } finally {
      await host.startSshd();
    }
    expect(await runtime.cpuCores).toBeGreaterThan(0);
  });

  it("a GPU tool that fails is told to the log, and the rest is there", async () => {
    install("rocm-smi", "exit 3");
    const warnings: string[] = [];
    const { logger } = Environment;
    const quiet = (): void => undefined;
    Environment.logger = { error: quiet, warn: (message) => warnings.push(message), info: quiet, debug: quiet };
    try {
      expect(await runtime.gpus).toEqual([]);
    } finally {
      Environment.logger = logger;
      await host.exec(["rm", "/tmp/bin/rocm-smi"]);
    }
    expect(warnings).toEqual(["host-1: /tmp/bin/rocm-smi failed (exit code 3), so its GPUs are not known"]);
  });

  it("printInfo prints it", async () => {
    const output = await printed(() => runtime.printInfo());
    const { pythonVersion, os } = await runtime.info;
    expect(output).toMatch(/^Runtime host-1\n {2}OS +/);
    for (const part of [pythonVersion, os, "CPU cores", "Memory", "Disk", "GPUs       none"])
      expect(output).toContain(part);
  });

  it("is shown in a notebook once it is known", async () => {
    const shown = runtime as unknown as Record<symbol, () => { "text/plain": string; "text/html": string }>;
    const show = (): { "text/plain": string; "text/html": string } =>
      shown[Symbol.for("Jupyter.display")]!.call(runtime);
    expect(show()["text/plain"]).toBe("Runtime host-1: 0 of 0 tasks run");
    const { pythonVersion } = await runtime.info;
    expect(show()["text/plain"]).toMatch(/^Runtime host-1: 0 of 0 tasks run\n {2}OS /);
    expect(show()["text/html"]).toContain(pythonVersion);
  });

  it("localhost has it too", async () => {
    const local = new Runtime("localhost");
    expect(await local.memoryInMb).toBeGreaterThan(0);
    await local.close();
  });
});

describe("checkFilter", () => {
  const passes = (filter: Parameters<RuntimeType["checkFilter"]>[0]): Promise<boolean> => runtime.checkFilter(filter);

  it("gpuRequired, minMemory and minCpuCores compare what the host has", async () => {
    const [cores, memory] = await Promise.all([runtime.cpuCores, runtime.memoryInMb]);
    expect(await passes({})).toBe(true);
    expect(await passes({ minMemory: memory, minCpuCores: cores, gpuRequired: false })).toBe(true);
    expect(await passes({ minMemory: memory + 2 })).toBe(false);
    expect(await passes({ minCpuCores: cores + 0.5 })).toBe(false);
    expect(await passes({ gpuRequired: true })).toBe(false);
    install("nvidia-smi", "echo NVIDIA T4");
    await runtime.cleanup();
    expect(await passes({ gpuRequired: true })).toBe(true);
    await host.exec(["rm", "/tmp/bin/nvidia-smi"]);
  });

  it("installedExecutables are looked up on the PATH that steps have; names are data", async () => {
    expect(await passes({ installedExecutables: "sh" })).toBe(true);
    expect(await passes({ installedExecutables: ["sh", "cat", "/bin/sh"] })).toBe(true);
    expect(await passes({ installedExecutables: ["sh", "surely-not-there"] })).toBe(false);
    expect(await passes({ installedExecutables: "sh; touch /tmp/hacked" })).toBe(false);
    expect(await passes({ installedExecutables: "-v" })).toBe(false);
    expect((await host.exec(["ls", "/tmp/hacked"])).code).not.toBe(0);
    runtime.envVariables = { PATH: "/nowhere" };
    expect(await passes({ installedExecutables: "sh" })).toBe(false);
  });

  it("filterCommands pass when they print `true`, in the environment of the steps, and leave no task behind", async () => {
    runtime.envVariables = { ANSWER: "true" };
    expect(await passes({ filterCommands: 'echo "$ANSWER"' })).toBe(true);
    expect(await passes({ filterCommands: ["echo true", "python3 -c 'print(1 < 2)'"] })).toBe(true);
    expect(await passes({ filterCommands: ["echo true", "echo false"] })).toBe(false);
    expect(await passes({ filterCommands: "true" })).toBe(false);
    expect(await passes({ filterCommands: "echo true >&2" })).toBe(false);
    expect(await passes({ filterCommands: "exit 3" })).toBe(false);
    expect(runtime.taskProcesses).toEqual([]);
  });

  it("runs no command where all else does not hold", async () => {
    const filterCommands = "touch /tmp/ran; echo true";
    expect(await passes({ minCpuCores: 100_000, filterCommands })).toBe(false);
    expect((await host.exec(["ls", "/tmp/ran"])).code).not.toBe(0);
    expect(await passes({ minCpuCores: 0, filterCommands })).toBe(true);
    expect((await host.exec(["rm", "/tmp/ran"])).code).toBe(0);
  });

  it("wrong conditions are refused before any host is asked; a host that cannot be asked rejects", async () => {
    for (const filter of [
      { minMemory: -1 },
      { minMemory: "8192" },
      { minCpuCores: NaN },
      { gpuRequired: 1 },
      { installedExecutables: "" },
      { installedExecutables: ["sh", 3] },
      { filterCommands: [""] },
      { gpus: 1 },
    ])
      expect(await rejection(passes(filter as object)), JSON.stringify(filter)).toBeInstanceOf(InvalidArgumentError);
    const missing = new Runtime("nobody-knows-this-host");
    expect(await rejection(missing.checkFilter({ minMemory: 1 }))).toBeInstanceOf(InvalidRuntimeError);
    await missing.close();
  });
});
