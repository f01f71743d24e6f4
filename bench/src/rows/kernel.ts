/** The TypeScript kernel beside stock tslab, before `lazycluster` is imported. */
import { spawn } from "child_process";
import { existsSync, mkdirSync, writeFileSync } from "fs";
import { join } from "path";
import { createInterface } from "readline";
import { type Lab, ROOT } from "../lab";
import { type Contender, interleave } from "../measure";
import type { Row } from "../row";

type Ask = (operation: string) => Promise<number>;
const OURS = "lazycluster kernel";
const STOCK = "stock tslab";
/** [ms] that an operation of a kernel may take. */
const OPERATION_MS = 120_000;

/** Both kernels, each driven by a client of its own. */
async function withKernels<T>(lab: Lab, work: (kernels: ReadonlyMap<string, Ask>) => Promise<T>): Promise<T> {
  const python = join(ROOT, ".venv", "bin", "python");
  if (!existsSync(python)) throw new Error("the kernel's rows need .venv: run `npm test -- types` once");
  const specs = join(lab.folder, "jupyter");
  const stock = join(specs, "kernels", "stock-tslab");
  mkdirSync(stock, { recursive: true });
  const argv = [
    process.execPath,
    join(ROOT, "node_modules", "tslab", "bin", "tslab"),
    "kernel",
    "--config-path={connection_file}",
  ];
  writeFileSync(join(stock, "kernel.json"), JSON.stringify({ argv, display_name: "tslab", language: "typescript" }));
  const kernels = new Map<string, Ask>();
  const ends: (() => Promise<void>)[] = [];
  try {
    for (const [name, kernel] of [
      [OURS, "lazycluster"],
      [STOCK, "stock-tslab"],
    ] as const) {
      // Stock tslab finds the types of Node only where the folder has them.
      const child = spawn(python, [join(ROOT, "bench", "peers", "kernel_peer.py"), kernel], {
        cwd: ROOT,
        env: { ...process.env, JUPYTER_PATH: specs },
        stdio: ["pipe", "pipe", "ignore"],
      });
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const ask: Ask = async (operation) => {
        child.stdin.write(`${operation}\n`);
        const bound = setTimeout(() => child.kill("SIGKILL"), OPERATION_MS);
        for (;;) {
          const { value, done } = await lines.next();
          if (done) throw new Error(`the client of ${name} ended`);
          if (!value.startsWith("ms ")) continue;
          clearTimeout(bound);
          return Number(value.slice(3));
        }
      };
      ends.push(async () => {
        await ask("leave");
        child.stdin.end();
      });
      await ask("start");
      kernels.set(name, ask);
    }
    return await work(kernels);
  } finally {
    for (const end of ends) await end().catch(() => undefined);
  }
}

function contenders(kernels: ReadonlyMap<string, Ask>, operation: string, after?: string): Contender[] {
  return [...kernels].map(([name, ask]) => ({
    name,
    once: async () => {
      const value = await ask(operation);
      if (after !== undefined) await ask(after);
      return value;
    },
  }));
}

function row(
  name: string,
  what: string,
  operation: string,
  rounds: number,
  most: number,
  unit = "ms",
  after?: string,
): Row {
  return {
    name,
    what,
    aims: [{ peer: STOCK, most }],
    run: (lab) =>
      withKernels(lab, async (kernels) => ({
        unit,
        series: await interleave(contenders(kernels, operation, after), rounds),
      })),
  };
}

export const kernelStart = row(
  "kernel start",
  "from its start to the answer to kernel_info",
  "startup",
  7,
  1,
  "ms",
  "stop",
);
export const kernelFirstCell = row(
  "kernel first cell",
  "from its start to the end of the first cell",
  "first_cell",
  7,
  1,
  "ms",
  "stop",
);
export const kernelCell = row("kernel cell", "a cell that declares a variable and prints it", "cell", 60, 1);
export const kernelExpression = row("kernel expression", "a cell that is one expression", "expression", 60, 1);
export const kernelMemory = row("kernel memory", "resident set after 20 cells", "memory", 3, 1.05, "MB");
