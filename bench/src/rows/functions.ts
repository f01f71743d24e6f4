/** Python functions: of the bridge, in a session, with large values, many at once. */
import { spawn } from "child_process";
import { Runtime, RuntimeTask, bridge, py, pyModule } from "lazycluster";
import type { NdArray, Session } from "lazycluster";
import { type Lab, PYTHON } from "../lab";
import { interleave } from "../measure";
import type { Row } from "../row";

const MB = 1024 * 1024;
const CALLS = 1000;

function must(holds: boolean): void {
  if (!holds) throw new Error("wrong result");
}

async function valueOf(task: RuntimeTask): Promise<unknown> {
  const [value] = await task.returns();
  await task.cleanup();
  return value;
}

async function withBridge<R>(work: () => Promise<R>): Promise<R> {
  process.env["LAZYCLUSTER_PYTHON"] = PYTHON;
  try {
    return await work();
  } finally {
    await bridge.close();
  }
}

export const bridgeFunction: Row = {
  name: "bridge function",
  what: "a function that lives in the bridge, one number in, one out, connection open; and in a session",
  aims: [{ peer: "execnet remote_exec", most: 1.0 }],
  run: async (lab: Lab) => {
    const execnet = await lab.peer("execnet_peer.py", "host-1");
    const series = await withBridge(() =>
      new Runtime("host-1").use(async (runtime) => {
        const { add } = await bridge.define("def add(x):\n    return x + 1");
        if (!add) throw new Error("no function");
        const session: Session = runtime.session("bench");
        const source = py`
        def add(x):
            return x + 1
        `;
        return interleave(
          [
            {
              name: "lazycluster",
              once: async () => {
                must((await valueOf(await runtime.executeFunction(add, { x: 41 }))) === 42);
                return undefined;
              },
            },
            { name: "execnet remote_exec", once: () => execnet("function") },
            {
              name: "lazycluster session",
              once: async () => {
                must((await valueOf(await session.call(source, { x: 41 }))) === 42);
                return undefined;
              },
            },
          ],
          60,
        );
      }),
    );
    return { series, unit: "ms" };
  },
};

export const bytesReturn: Row = {
  name: "10 MB bytes",
  what: "a function that gives 10 MiB of bytes, host → here",
  aims: [{ peer: "execnet", most: 0.8 }],
  run: async (lab: Lab) => {
    const execnet = await lab.peer("execnet_peer.py", "host-1");
    const series = await new Runtime("host-1").use((runtime) =>
      interleave(
        [
          {
            name: "lazycluster",
            once: async () => {
              const value = await valueOf(
                await runtime.executeFunction(pyModule("builtins", "bytes"), undefined, { args: [10 * MB] }),
              );
              must((value as Uint8Array).length === 10 * MB);
              return undefined;
            },
          },
          { name: "execnet", once: () => execnet("content") },
        ],
        20,
      ),
    );
    return { series, unit: "ms" };
  },
};

export const arrayReturn: Row = {
  name: "64 MB array",
  what: "a function that gives 64 MiB of float64, host → Float64Array here",
  aims: [
    { peer: "execnet", most: 0.6 },
    { peer: "OpenSSH mux", most: 1.2 },
  ],
  run: async (lab: Lab) => {
    const execnet = await lab.peer("execnet_peer.py", "host-1");
    const mux = await lab.mux("host-1");
    const ones = py`
    import numpy

    def ones():
        return numpy.ones(8 * 1024 * 1024)
    `;
    const series = await new Runtime("host-1").use((runtime) =>
      interleave(
        [
          {
            name: "lazycluster",
            once: async () => {
              const { data } = (await valueOf(await runtime.executeFunction(ones))) as NdArray;
              must(data.length === 8 * MB && data[8 * MB - 1] === 1);
              return undefined;
            },
          },
          { name: "execnet", once: () => execnet("array") },
          { name: "OpenSSH mux", once: () => raw([...mux, `head -c ${String(64 * MB)} /dev/zero`], 64 * MB) },
        ],
        10,
      ),
    );
    return { series, unit: "ms" };
  },
};

/** The same bytes into memory. */
async function raw(args: readonly string[], size: number): Promise<undefined> {
  const child = spawn("ssh", args, { stdio: ["ignore", "pipe", "inherit"] });
  const bytes = Buffer.allocUnsafe(size);
  let filled = 0;
  for await (const piece of child.stdout as AsyncIterable<Buffer>) filled += piece.copy(bytes, filled);
  must(filled === size);
  return undefined;
}

export const manyCalls: Row = {
  name: "1,000 calls",
  what: "1,000 small calls to 4 hosts at once",
  aims: [{ peer: "ipyparallel", most: 1 / 3 }],
  run: async (lab: Lab) => {
    const aliases = ["host-1", "host-2", "host-3", "host-4"];
    const ipyparallel = await lab.peer("ipyparallel_peer.py", ...aliases);
    const add = py`
    def add(x):
        return x + 1
    `;
    const runtimes = aliases.map((alias) => new Runtime(alias));
    try {
      const series = await interleave(
        [
          {
            name: "lazycluster",
            once: async () => {
              const tasks = await Promise.all(
                Array.from({ length: CALLS }, (_, x) => {
                  const task = new RuntimeTask().runFunction(add, { x });
                  return runtimes[x % runtimes.length]?.executeTask(task) ?? Promise.reject(new Error("no host"));
                }),
              );
              const values = await Promise.all(tasks.map((task) => valueOf(task)));
              must(values.every((value, x) => value === x + 1));
              for (const runtime of runtimes) runtime.clearTasks();
              return undefined;
            },
          },
          { name: "ipyparallel", once: () => ipyparallel("calls") },
        ],
        7,
      );
      return { series, unit: "ms" };
    } finally {
      await Promise.all(runtimes.map((runtime) => runtime.close()));
    }
  },
};
