import { execFile, spawn } from "child_process";
import { closeSync, mkdtempSync, openSync, rmSync, statSync } from "fs";
import { join } from "path";
import { promisify } from "util";
import { Environment, Runtime, RuntimeTask } from "lazycluster";
import { ROOT } from "../lab";
import { interleave, summarise } from "../measure";
import type { Row } from "../row";

const call = promisify(execFile);
const FLOOD = 512 * 1024 * 1024;

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

export const memory: Row = {
  name: "memory with 32 hosts",
  what: "resident set of the process after a command on each, engine thread included",
  aims: [{ peer: null, most: 110 }],
  run: async (lab) => {
    const aliases = lab.hosts.hosts.map((host) => host.alias);
    const values: number[] = [];
    for (let round = 0; round < 3; round++) values.push(await script("memory.cjs", ...aliases));
    return { series: [summarise("lazycluster", values)], unit: "MB" };
  },
};

export const load: Row = {
  name: 'require("lazycluster")',
  what: "in a new process",
  aims: [{ peer: null, most: 100 }],
  run: async () => ({
    series: await interleave([{ name: "lazycluster", once: () => script("require.cjs") }], 15),
    unit: "ms",
  }),
};
