import { execFile, spawn } from "child_process";
import { once } from "events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "fs";
import { join } from "path";
import { createInterface } from "readline";
import { promisify } from "util";
import { Environment, Runtime, RuntimeTask } from "lazycluster";
import { type Lab, ROOT } from "../lab";
import { interleave, summarise } from "../measure";
import type { Row } from "../row";

const call = promisify(execFile);
const FLOOD = 512 * 1024 * 1024;
const MANY = 500;
/** [ms] for a process to connect to all its hosts, and to close. */
const CONNECT_MS = 180_000;

async function script(name: string, ...args: string[]): Promise<number> {
  const { stdout } = await call(process.execPath, [join(ROOT, "bench", "scripts", name), ...args]);
  return Number(stdout);
}

export const flood: Row = {
  name: "output flood",
  what: "512 MiB from a command to the log file",
  aims: [{ peer: "OpenSSH mux > file", most: 2 }],
  run: async (lab) => {
    const mux = await lab.mux("host-1");
    const command = `head -c ${String(FLOOD)} /dev/zero`;
    const folder = mkdtempSync(join(lab.folder, "flood-"));
    Environment.setMainDirectory(folder);
    const series = await new Runtime("host-1").use((runtime) =>
      interleave(
        [
          {
            name: "lazycluster",
            once: async () => {
              const task = new RuntimeTask("flood").runCommand(command);
              await runtime.executeTask(task);
              const file = task.executionLogFilePath ?? "";
              if (statSync(file).size !== FLOOD) throw new Error("the log is not complete");
              rmSync(file);
              return undefined;
            },
          },
          {
            name: "OpenSSH mux > file",
            once: async () => {
              const file = join(folder, "mux");
              const fd = openSync(file, "w");
              const child = spawn("ssh", [...mux, command], { stdio: ["ignore", fd, "inherit"] });
              await new Promise((resolve) => child.on("close", resolve));
              closeSync(fd);
              if (statSync(file).size !== FLOOD) throw new Error("the file is not complete");
              rmSync(file);
              return undefined;
            },
          },
        ],
        5,
      ),
    );
    return { series, unit: "ms" };
  },
};

/** [MB] of a process after a command on each host, and what `meanwhile` gives while it holds the connections. */
async function resident<T>(
  aliases: readonly string[],
  config: string,
  meanwhile: () => Promise<T>,
): Promise<{ readonly mb: number; readonly found: T }> {
  const env = { ...process.env, LAZYCLUSTER_SSH_CONFIG: config };
  const child = spawn(process.execPath, [join(ROOT, "bench", "scripts", "memory.cjs"), ...aliases], {
    env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const bound = setTimeout(() => child.kill("SIGKILL"), CONNECT_MS);
  try {
    for await (const line of createInterface({ input: child.stdout }))
      return { mb: Number(line), found: await meanwhile() };
    throw new Error("the process that was to be measured ended");
  } finally {
    child.stdin.end();
    await ended;
    clearTimeout(bound);
  }
}

export const memory: Row = {
  name: "memory with 32 hosts",
  what: "resident set of the process after a command on each, engine thread included",
  aims: [{ peer: null, most: 110 }],
  run: async (lab) => {
    const aliases = lab.hosts.hosts.map((host) => host.alias);
    const values: number[] = [];
    for (let round = 0; round < 3; round++)
      values.push((await resident(aliases, lab.plainConfig, () => Promise.resolve())).mb);
    return { series: [summarise("lazycluster", values)], unit: "MB" };
  },
};

export const memoryOfMany: Row = {
  name: `memory with ${String(MANY)} hosts`,
  what: "the same; the hosts are many names of the 32",
  aims: [{ peer: null, most: 200 }],
  run: async (lab) => {
    const { hosts } = lab.hosts;
    const config = join(lab.folder, "many");
    writeFileSync(config, readFileSync(lab.plainConfig, "utf8").replace(/^Host host-(\d+)$/gm, "Host many-$1-*"));
    // A host after the other: each gets few logins at a time.
    const aliases = Array.from(
      { length: MANY },
      (_, index) => `many-${String((index % hosts.length) + 1)}-${String(index)}`,
    );
    const ours: number[] = [];
    const agents: number[] = [];
    for (let round = 0; round < 2; round++) {
      const { mb, found } = await resident(aliases, config, () => agentMemory(lab));
      ours.push(mb);
      agents.push(found);
    }
    return { series: [summarise("lazycluster", ours)], also: [summarise("all agents' PSS", agents)], unit: "MB" };
  },
};

/** [MB] of everything that runs on the hosts but sshd; what they share counts once. */
async function agentMemory(lab: Lab): Promise<number> {
  let kilobytes = 0;
  for (const host of lab.hosts.hosts) {
    for (const { outerPid } of await host.processes()) {
      const pss = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${String(outerPid)}/smaps_rollup`, "latin1"));
      kilobytes += Number(pss?.[1] ?? 0);
    }
  }
  return kilobytes / 1024;
}

export const load: Row = {
  name: 'require("lazycluster")',
  what: "in a new process",
  aims: [{ peer: null, most: 100 }],
  run: async () => ({
    series: await interleave([{ name: "lazycluster", once: () => script("require.cjs") }], 15),
    unit: "ms",
  }),
};
