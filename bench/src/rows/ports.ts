import { type ChildProcess, execFile, spawn } from "child_process";
import { once } from "events";
import { readFileSync } from "fs";
import { createServer } from "net";
import { join } from "path";
import { promisify } from "util";
import { Runtime, RuntimeTask } from "lazycluster";
import { type Lab, ROOT } from "../lab";
import { interleave, summarise } from "../measure";
import type { Row, RowResult } from "../row";

const call = promisify(execFile);
const SCRIPT = readFileSync(join(ROOT, "bench", "scripts", "ports.py"), "utf8");
const MIB = "128";
const CONNECTIONS = "50";
const MUX = "ssh -O forward";

/** The same service by two ways, and a client at the other end: prints lines of [ms]. */
interface Stage {
  readonly ways: readonly { readonly name: string; readonly port: number }[];
  client(mode: "bulk" | "new", port: number, size: string): Promise<number[]>;
}

/** A port of the host, reached here. */
async function fromHost<R>(lab: Lab, work: (stage: Stage) => Promise<R>): Promise<R> {
  return new Runtime("host-1").use(async (runtime) => {
    const [service, ours, theirs] = [await anyPort(), await anyPort(), await anyPort()];
    const task = new RuntimeTask().runCommand(`exec python3 - serve ${String(service)}`, { stdin: SCRIPT });
    runtime.executeTask(task).catch(() => undefined);
    while (!(task.executionLog[0] ?? "").includes("ready")) await new Promise((resolve) => setTimeout(resolve, 10));
    await runtime.exposePortFromRuntime(service, ours);
    await forward(lab, "-L", theirs, service);
    return work({
      ways: [
        { name: "lazycluster", port: ours },
        { name: MUX, port: theirs },
      ],
      client: async (mode, port, size) =>
        numbers((await call("python3", ["-c", SCRIPT, mode, String(port), size])).stdout),
    });
  });
}

/** A port of this machine, reached on the host. */
async function toHost<R>(lab: Lab, work: (stage: Stage) => Promise<R>): Promise<R> {
  const host = lab.hosts.hosts[0];
  if (!host) throw new Error("no host");
  const [service, ours, theirs] = [await anyPort(), await anyPort(), await anyPort()];
  const server: ChildProcess = spawn("python3", ["-c", SCRIPT, "serve", String(service)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    if (server.stdout) await once(server.stdout, "data");
    return await new Runtime("host-1").use(async (runtime) => {
      await runtime.exposePortToRuntime(service, ours);
      await forward(lab, "-R", theirs, service);
      return work({
        ways: [
          { name: "lazycluster", port: ours },
          { name: MUX, port: theirs },
        ],
        client: async (mode, port, size) =>
          numbers((await host.exec(["python3", "-c", SCRIPT, mode, String(port), size])).stdout),
      });
    });
  } finally {
    server.kill("SIGKILL");
  }
}

async function forward(lab: Lab, kind: "-L" | "-R", port: number, service: number): Promise<void> {
  const mux = await lab.mux("host-1");
  // A connection without any session stalls for 40 ms.
  await call("ssh", [...mux, "true"]);
  const way = `127.0.0.1:${String(port)}:127.0.0.1:${String(service)}`;
  await call("ssh", [...mux.slice(0, -1), "-O", "forward", kind, way, "host-1"]);
}

async function bulk({ ways, client }: Stage): Promise<RowResult> {
  const contenders = ways.map(({ name, port }) => ({
    name,
    once: async () => (await client("bulk", port, MIB))[0],
  }));
  return { series: await interleave(contenders, 8), unit: "ms" };
}

async function connections({ ways, client }: Stage): Promise<RowResult> {
  const values = ways.map((): number[] => []);
  for (let round = 0; round < 6; round++) {
    for (const [index, { port }] of ways.entries()) {
      const found = await client("new", port, CONNECTIONS);
      if (round > 0) values[index]?.push(...found);
    }
  }
  return { series: ways.map(({ name }, index) => summarise(name, values[index] ?? [])), unit: "ms" };
}

const BULK = `${MIB} MiB down, then up, through an exposed port`;
const NEW = "a new connection through an exposed port, and a byte there and back";

export const portFromHost: Row = {
  name: "port from a host",
  what: BULK,
  aims: [{ peer: MUX, most: 1.6 }],
  run: (lab) => fromHost(lab, bulk),
};
export const portToHost: Row = {
  name: "port to a host",
  what: BULK,
  aims: [{ peer: MUX, most: 1.6 }],
  run: (lab) => toHost(lab, bulk),
};
export const connectionFromHost: Row = {
  name: "connection to a port from a host",
  what: `${NEW}; who connects is checked`,
  aims: [{ peer: null, most: 3, p90: true }],
  run: (lab) => fromHost(lab, connections),
};
export const connectionToHost: Row = {
  name: "connection to a port to a host",
  what: NEW,
  aims: [{ peer: null, most: 3, p90: true }],
  run: (lab) => toHost(lab, connections),
};

function numbers(text: string): number[] {
  return text.split("\n").flatMap((line) => (line === "" ? [] : [Number(line)]));
}

async function anyPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address ? address.port : 0;
}
