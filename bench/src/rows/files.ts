import { spawn } from "child_process";
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from "fs";
import { randomBytes } from "crypto";
import { join } from "path";
import { Runtime, RuntimeTask } from "lazycluster";
import type { Lab } from "../lab";
import { interleave, summarise } from "../measure";
import type { Row, RowResult } from "../row";

const MIB = 1024 * 1024;

/** In memory: disks would be what is measured. */
const PLACE = "/dev/shm/lazycluster-bench";

/** Neither side of it can be packed. */
function makeBig(lab: Lab, megabytes: number): string {
  const path = join(lab.folder, `big-${String(megabytes)}`);
  const file = openSync(path, "w");
  for (let count = 0; count < megabytes; count++) writeFileSync(file, randomBytes(MIB));
  closeSync(file);
  return path;
}

/** A shell line on this machine, such as `tar c . | ssh host tar x`; words are data, `"$@"`. */
function shell(line: string, args: readonly string[]): Promise<undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn("sh", ["-c", line, "sh", ...args], { stdio: ["ignore", "ignore", "inherit"] });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(undefined);
      else reject(new Error(`${line} ended with ${String(code)}`));
    });
  });
}

/** Up and down in turns, each beside `cat` through a master connection with the same cipher. */
function bigFile(direction: "up" | "down", rttMs: number): (lab: Lab) => Promise<RowResult> {
  return async (lab) => {
    const alias = rttMs === 0 ? "host-1" : await lab.slowAlias(rttMs);
    const mux = await lab.mux(alias);
    const big = makeBig(lab, 256);
    const back = join(lab.folder, "back");
    const series = await new Runtime(alias, { workingDir: PLACE }).use(async (runtime) => {
      await runtime.sendFile(big, "big");
      const task = (): RuntimeTask =>
        direction === "up" ? new RuntimeTask().sendFile(big, "up") : new RuntimeTask().getFile("big", back);
      const peer =
        direction === "up"
          ? 'f=$1; shift; ssh "$@" "cat > /dev/shm/lazycluster-bench/peer" < "$f"'
          : 'f=$1; shift; ssh "$@" "cat /dev/shm/lazycluster-bench/big" > "$f"';
      return interleave(
        [
          {
            name: "lazycluster",
            once: async () => {
              await runtime.executeTask(task());
              return undefined;
            },
          },
          { name: "OpenSSH mux", once: () => shell(peer, [direction === "up" ? big : back, ...mux]) },
        ],
        5,
      );
    });
    return { series, unit: "ms" };
  };
}

const bigRow = (direction: "up" | "down", rttMs: number, most: number): Row => ({
  name: `256 MB ${direction}${rttMs === 0 ? "" : ` at ${String(rttMs)} ms RTT`}`,
  what: `a file ${direction === "up" ? "to" : "from"} the host, connection open`,
  aims: [{ peer: "OpenSSH mux", most }],
  run: bigFile(direction, rttMs),
});

function fill(folder: string, files: number, size: number, perFolder: number): string {
  for (let index = 0; index < files; index++) {
    const place = join(folder, String(Math.floor(index / perFolder)));
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, String(index)), randomBytes(size));
  }
  return folder;
}

const smallFiles: Row = {
  name: "1000 files of 4 KB",
  what: "a folder to the host, connection open",
  aims: [{ peer: "tar | ssh mux", most: 1.0 }],
  run: async (lab) => {
    const folder = fill(join(lab.folder, "small"), 1000, 4096, 100);
    const mux = await lab.mux("host-1");
    const series = await new Runtime("host-1", { workingDir: PLACE }).use((runtime) =>
      interleave(
        [
          {
            name: "lazycluster",
            once: async () => {
              await runtime.sendFile(folder, "small");
              return undefined;
            },
          },
          {
            name: "tar | ssh mux",
            once: () =>
              shell(
                'd=$1; shift; tar -C "$d" -cf - . | ssh "$@" "mkdir -p /dev/shm/lazycluster-bench/tar && tar -C /dev/shm/lazycluster-bench/tar -xf -"',
                [folder, ...mux],
              ),
          },
        ],
        10,
      ),
    );
    return { series, unit: "ms" };
  },
};

const meanwhile: Row = {
  name: "agent meanwhile",
  what: "a round trip to the agent (p95) while 256 MB go up",
  aims: [{ peer: null, most: 2.5 }],
  run: async (lab) => {
    const big = makeBig(lab, 256);
    const rounds: number[] = [];
    const command: number[] = [];
    await new Runtime("host-1", { workingDir: PLACE }).use(async (runtime) => {
      for (let round = 0; round < 5; round++) {
        let over = false;
        const sending = runtime.sendFile(big, "up").then(() => (over = true));
        while (!over as boolean) {
          const start = performance.now();
          // The cheapest of all operations: a folder that is there.
          await runtime.createDir(PLACE);
          rounds.push(performance.now() - start);
        }
        await sending;
      }
      for (let round = 0; round < 100; round++) {
        const start = performance.now();
        await runtime.createDir(PLACE);
        command.push(performance.now() - start);
      }
    });
    // The row's number is the p95, so it stands where others have the median.
    const p95 = (name: string, values: number[]) => {
      const sorted = [...values].sort((a, b) => a - b);
      return { ...summarise(name, values), median: sorted[Math.floor(sorted.length * 0.95)] ?? NaN };
    };
    return { series: [p95("lazycluster", rounds), p95("lazycluster, idle", command)], unit: "ms" };
  },
};

const unchanged: Row = {
  name: "sync of 10,000 files",
  what: "nothing has changed",
  aims: [{ peer: null, most: 1000 }],
  run: async (lab) => {
    const folder = fill(join(lab.folder, "many"), 10_000, 100, 50);
    const series = await new Runtime("host-1", { workingDir: PLACE }).use(async (runtime) => {
      await runtime.syncFolder(folder, "many");
      return interleave(
        [
          {
            name: "lazycluster",
            once: async () => {
              await runtime.syncFolder(folder, "many");
              return undefined;
            },
          },
        ],
        10,
      );
    });
    rmSync(folder, { recursive: true });
    return { series, unit: "ms" };
  },
};

export const files: readonly Row[] = [
  bigRow("up", 0, 1.15),
  bigRow("down", 0, 1.0),
  bigRow("up", 20, 0.5),
  bigRow("down", 20, 0.5),
  smallFiles,
  meanwhile,
  unchanged,
];
