/** `npm run bench [-- ROW…]`: the table of lazycluster beside its peers. */
import { mkdirSync, writeFileSync } from "fs";
import { cpus, loadavg } from "os";
import { join } from "path";
import { Environment } from "lazycluster";
import { Lab, ROOT } from "./lab";
import { type Finished, markdownTable, rowText } from "./report";
import type { Row } from "./row";
import { agentStart, coldCommand, slowCommand, smallFunction, warmCommand } from "./rows/commands";
import { arrayReturn, bridgeFunction, bytesReturn, manyCalls } from "./rows/functions";
import { files } from "./rows/files";
import { coldGroup, listRuntimes, warmGroup } from "./rows/group";
import { kernelCell, kernelExpression, kernelFirstCell, kernelMemory, kernelStart } from "./rows/kernel";
import { connectionFromHost, connectionToHost, portFromHost, portToHost } from "./rows/ports";
import { flood, load, memory, memoryOfMany } from "./rows/process";

const PORTS: readonly Row[] = [portFromHost, portToHost, connectionFromHost, connectionToHost];
const KERNEL: readonly Row[] = [kernelStart, kernelFirstCell, kernelCell, kernelExpression, kernelMemory];
const ROWS: readonly Row[] = [
  warmCommand,
  slowCommand,
  coldCommand,
  agentStart,
  warmGroup,
  coldGroup,
  listRuntimes,
  smallFunction,
  bridgeFunction,
  manyCalls,
  bytesReturn,
  arrayReturn,
  flood,
  ...PORTS,
  ...KERNEL,
  ...files,
  memory,
  memoryOfMany,
  load,
];
const HOSTS = 32;

/** Prints the table, and leaves it with the raw values in results/. */
function keep(finished: readonly Finished[]): void {
  const table = markdownTable(finished);
  process.stdout.write(`\n${table}`);
  const folder = join(ROOT, "bench", "results");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, new Date().toISOString().replace(/[:.]/g, "-"));
  const raw = Object.fromEntries(finished.map(({ row, result }) => [row.name, result]));
  writeFileSync(`${path}.json`, JSON.stringify(raw, null, 2));
  writeFileSync(`${path}.md`, table);
}

/** Gives whether every row ran. */
async function main(): Promise<boolean> {
  const wanted = process.argv.slice(2);
  const rows = ROWS.filter((row) => wanted.length === 0 || wanted.some((word) => row.name.includes(word)));
  if (rows.length === 0) throw new Error(`no such row; there are: ${ROWS.map((row) => row.name).join(", ")}`);
  let failed = false;
  const lab = await Lab.start(HOSTS);
  try {
    process.env["LAZYCLUSTER_SSH_CONFIG"] = lab.config;
    process.env["LAZYCLUSTER_MAIN_DIRECTORY"] = join(lab.folder, "logs");
    process.env["LAZYCLUSTER_STATE_DIR"] = join(lab.folder, "state");
    Environment.setMainDirectory(join(lab.folder, "logs"));
    process.stdout.write(
      `${String(cpus().length)} cores, Node ${process.version}, load ${loadavg()[0]?.toFixed(1) ?? ""}\n`,
    );
    const finished: Finished[] = [];
    for (const row of rows) {
      try {
        const one = { row, result: await row.run(lab) };
        finished.push(one);
        process.stdout.write(rowText(one));
      } catch (error) {
        // The others count all the same.
        failed = true;
        console.error(`\n${row.name}: failed`, error);
      }
    }
    keep(finished);
  } finally {
    await lab.stop();
  }
  return !failed;
}

main().then(
  (allRan) => process.exit(allRan ? 0 : 1),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
