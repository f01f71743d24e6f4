import { execFile } from "child_process";
import { join } from "path";
import { promisify } from "util";
import { Connection, Runtime, RuntimeTask, py } from "lazycluster";
import { type Lab, PYTHON, ROOT } from "../lab";
import { interleave } from "../measure";
import type { Row } from "../row";

const call = promisify(execFile);

function warm(runtime: Runtime) {
  return async () => {
    await runtime.executeTask(new RuntimeTask("true").runCommand("true"));
    return undefined;
  };
}

async function ssh(args: readonly string[]): Promise<undefined> {
  await call("ssh", [...args, "true"]);
  return undefined;
}

export const warmCommand: Row = {
  name: "warm command",
  what: "`true` through $SHELL -c, output captured, connection open",
  aims: [{ peer: "OpenSSH mux", most: 0.3 }],
  run: async (lab) => {
    const mux = await lab.mux("host-1");
    const series = await new Runtime("host-1").use((runtime) =>
      interleave(
        [
          { name: "lazycluster", once: warm(runtime) },
          { name: "OpenSSH mux", once: () => ssh(mux) },
        ],
        60,
      ),
    );
    return { series, unit: "ms" };
  },
};

export const slowCommand: Row = {
  name: "warm command at 20 ms RTT",
  what: "the same over the delay proxy; in round trips",
  aims: [{ peer: null, most: 1.5 }],
  run: async (lab) => {
    const alias = await lab.slowAlias(20);
    const mux = await lab.mux(alias);
    const series = await new Runtime(alias).use((runtime) =>
      interleave(
        [
          { name: "lazycluster", once: warm(runtime) },
          { name: "OpenSSH mux", once: () => ssh(mux) },
        ],
        30,
      ),
    );
    return { series: series.map((one) => ({ ...one, median: one.median / 20, p90: one.p90 / 20 })), unit: "RTT" };
  },
};

export const coldCommand: Row = {
  name: "cold command",
  what: "process, connect, `true`, exit",
  aims: [
    { peer: "ssh", most: 1.2 },
    { peer: "Python lazycluster", most: 0.4 },
  ],
  run: async (lab) => {
    const run = async (program: string, args: string[]): Promise<undefined> => {
      await call(program, args, { env: lab.peerEnv });
      return undefined;
    };
    const series = await interleave(
      [
        {
          name: "lazycluster",
          once: () => run(process.execPath, [join(ROOT, "bench", "scripts", "cold.cjs"), "host-1"]),
        },
        { name: "ssh", once: () => run("ssh", ["-F", lab.config, "host-1", "true"]) },
        {
          name: "Python lazycluster",
          once: () => run(PYTHON, [join(ROOT, "bench", "peers", "lazycluster_cold.py"), "host-1"]),
          rounds: 5,
        },
      ],
      15,
    );
    return { series, unit: "ms" };
  },
};

export const agentStart: Row = {
  name: "agent start",
  what: "on this machine, so without ssh: start until ready, and end",
  aims: [{ peer: "execnet", most: 1.5 }],
  run: async (lab) => {
    const execnet = await lab.peer("execnet_peer.py", "host-1");
    const series = await interleave(
      [
        {
          name: "lazycluster",
          once: async () => {
            const connection = await Connection.open("localhost");
            await connection.close();
            return undefined;
          },
        },
        { name: "execnet", once: () => execnet("gateway") },
      ],
      30,
    );
    return { series, unit: "ms" };
  },
};

const add = py`
def add(x):
    return x + 1
`;

export const smallFunction: Row = {
  name: "small function",
  what: "a function from source, one number in, one out, connection open",
  aims: [
    { peer: "execnet", most: 1.0 },
    { peer: "Python lazycluster", most: 1 / 300 },
  ],
  run: async (lab: Lab) => {
    const execnet = await lab.peer("execnet_peer.py", "host-1");
    const reference = await lab.peer("lazycluster_peer.py", "host-1");
    const series = await new Runtime("host-1").use((runtime) =>
      interleave(
        [
          {
            name: "lazycluster",
            once: async () => {
              const task = new RuntimeTask("add").runFunction(add, { x: 41 });
              await runtime.executeTask(task);
              if ((await task.returns())[0] !== 42) throw new Error("wrong result");
              return undefined;
            },
          },
          { name: "execnet", once: () => execnet("function") },
          { name: "Python lazycluster", once: () => reference("function"), rounds: 3 },
        ],
        60,
      ),
    );
    return { series, unit: "ms" };
  },
};
