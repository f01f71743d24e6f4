/** All hosts at once. */
import { execFile } from "child_process";
import { writeFileSync } from "fs";
import { join } from "path";
import { promisify } from "util";
import { RuntimeGroup, RuntimeTask } from "lazycluster";
import { type Lab, PEERS, PYTHON, ROOT } from "../lab";
import { interleave } from "../measure";
import type { Row } from "../row";

const call = promisify(execFile);
const OURS = "lazycluster";
const ASYNCSSH = "asyncssh";
const PARALLEL_SSH = "parallel-ssh";
const REFERENCE = "Python lazycluster";
/** [ms] for all hosts; the reference waits for ever when one of them fails. */
const LIST_MS = 300_000;

function aliases(lab: Lab): string[] {
  return lab.hosts.hosts.map((host) => host.alias);
}

/** For what reads no ssh config. */
function places(lab: Lab): string[] {
  return lab.hosts.hosts.map(({ user, address, port }) => `${user}@${address}:${String(port)}`);
}

export const warmGroup: Row = {
  name: "warm command on 32 hosts",
  what: "`true` through $SHELL -c on all at once, output captured, connections open",
  aims: [
    { peer: ASYNCSSH, most: 0.6 },
    { peer: PARALLEL_SSH, most: 0.45 },
  ],
  run: async (lab) => {
    const asyncssh = await lab.peer("asyncssh_peer.py", ...aliases(lab));
    const parallelSsh = await lab.peer("parallel_ssh_peer.py", ...places(lab));
    const series = await new RuntimeGroup(...aliases(lab)).use((group) =>
      interleave(
        [
          {
            name: OURS,
            once: async () => {
              const tasks = await group.executeTask(new RuntimeTask("true").runCommand("true"), { broadcast: true });
              if (tasks.some((task) => task.executionLog[0] !== "")) throw new Error("wrong output");
              return undefined;
            },
          },
          { name: ASYNCSSH, once: () => asyncssh("command") },
          { name: PARALLEL_SSH, once: () => parallelSsh("command") },
        ],
        40,
      ),
    );
    return { series, unit: "ms" };
  },
};

export const coldGroup: Row = {
  name: "cold command on 32 hosts",
  what: "process, connect to all, `true` on each, exit",
  aims: [{ peer: PARALLEL_SSH, most: 1.3 }],
  run: async (lab) => {
    const list = join(lab.folder, "hosts");
    writeFileSync(list, `${aliases(lab).join("\n")}\n`);
    const run = async (program: string, ...args: string[]): Promise<undefined> => {
      await call(program, args, { env: lab.peerEnv });
      return undefined;
    };
    const peer = (script: string, ...args: string[]): Promise<undefined> =>
      run(PYTHON, join(PEERS, script), "once", ...args);
    const series = await interleave(
      [
        {
          name: OURS,
          once: () => run(process.execPath, join(ROOT, "bench", "scripts", "cold-hosts.cjs"), ...aliases(lab)),
        },
        { name: PARALLEL_SSH, once: () => peer("parallel_ssh_peer.py", ...places(lab)) },
        { name: ASYNCSSH, once: () => peer("asyncssh_peer.py", ...aliases(lab)) },
        {
          name: "xargs -P 32 ssh",
          once: () => run("xargs", "-a", list, "-P", "32", "-I", "{}", "ssh", "-F", lab.config, "{}", "true"),
          rounds: 5,
        },
      ],
      10,
    );
    return { series, unit: "ms" };
  },
};

export const listRuntimes: Row = {
  name: "list-runtimes -l on 32 hosts",
  what: "the command in a new process, beside Python lazycluster's",
  aims: [{ peer: REFERENCE, most: 1 / 20 }],
  run: async (lab) => {
    const run = async (program: string, args: readonly string[]): Promise<undefined> => {
      const { stdout } = await call(program, args, { env: lab.peerEnv, timeout: LIST_MS });
      for (const host of aliases(lab)) if (!stdout.includes(host)) throw new Error(`${host} is missing in:\n${stdout}`);
      return undefined;
    };
    const ours = [join(ROOT, "core", "bin", "lazycluster.js"), "--ssh-config", lab.plainConfig, "list-runtimes", "-l"];
    const series = await interleave(
      [
        { name: OURS, once: () => run(process.execPath, ours) },
        // It runs pip on every host.
        { name: REFERENCE, once: () => run(PYTHON, [join(PEERS, "lazycluster_list.py")]), rounds: 1, warmUp: false },
      ],
      7,
    );
    return { series, unit: "ms" };
  },
};
