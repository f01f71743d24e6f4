/** `npm run bench [-- ROW…]`: the table of lazycluster beside its peers. */
import { mkdirSync, writeFileSync } from "fs";
import { cpus, loadavg } from "os";
import { join } from "path";
import { Environment } from "lazycluster";
import { Lab, ROOT, installPeers } from "./lab";
import type { Row, RowResult } from "./row";
import { coldCommand, slowCommand, smallFunction, warmCommand } from "./rows/commands";
import { arrayReturn, bridgeFunction, bytesReturn, manyCalls } from "./rows/functions";
import { files } from "./rows/files";
import { kernelCell, kernelExpression, kernelFirstCell, kernelMemory, kernelStart } from "./rows/kernel";
import { connectionFromHost, connectionToHost, portFromHost, portToHost } from "./rows/ports";
import { flood, load, memory } from "./rows/process";

const PORTS: readonly Row[] = [portFromHost, portToHost, connectionFromHost, connectionToHost];
const KERNEL: readonly Row[] = [kernelStart, kernelFirstCell, kernelCell, kernelExpression, kernelMemory];
const ROWS: readonly Row[] = [
  warmCommand,
  slowCommand,
  coldCommand,
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
  load,
];
const HOSTS = 32;

function print(row: Row, { series, unit }: RowResult): void {
  const ours = series[0]?.median ?? NaN;
  process.stdout.write(`\n${row.name}: ${row.what}\n`);
  for (const { name, median, p90, values } of series) {
    const ratio = name === series[0]?.name ? "" : `   ours / this = ${(ours / median).toFixed(4)}`;
    process.stdout.write(
      `  ${name.padEnd(22)} ${median.toFixed(2).padStart(10)} ${unit}  p90 ${p90.toFixed(2)}  n=${String(values.length)}${ratio}\n`,
    );
  }
  for (const { peer, most, p90 } of row.aims) {
    const which = p90 ? "p90" : "median";
    const other = peer === null ? 1 : (series.find(({ name }) => name === peer)?.[which] ?? NaN);
    const found = (series[0]?.[which] ?? NaN) / other;
    const aim = `${p90 ? "p90 " : ""}${peer === null ? `${String(most)} ${unit}` : `${most.toFixed(4)} × ${peer}`}`;
    process.stdout.write(`  aim ≤ ${aim}: ${found <= most ? "reached" : "missed"} (${found.toFixed(4)})\n`);
  }
}

async function main(): Promise<void> {
  const wanted = process.argv.slice(2);
  const rows = ROWS.filter((row) => wanted.length === 0 || wanted.some((word) => row.name.includes(word)));
  if (rows.length === 0) throw new Error(`no such row; there are: ${ROWS.map((row) => row.name).join(", ")}`);
  await installPeers();
  const lab = await Lab.start(HOSTS);
  try {
    process.env["LAZYCLUSTER_SSH_CONFIG"] = lab.config;
    process.env["LAZYCLUSTER_MAIN_DIRECTORY"] = join(lab.folder, "logs");
    process.env["LAZYCLUSTER_STATE_DIR"] = join(lab.folder, "state");
    Environment.setMainDirectory(join(lab.folder, "logs"));
    process.stdout.write(
      `${String(cpus().length)} cores, Node ${process.version}, load ${loadavg()[0]?.toFixed(1) ?? ""}\n`,
    );
    const results: Record<string, RowResult> = {};
    for (const row of rows) {
      const result = await row.run(lab);
      results[row.name] = result;
      print(row, result);
    }
    const folder = join(ROOT, "bench", "results");
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, `${new Date().toISOString().replace(/[:.]/g, "-")}.json`),
      JSON.stringify(results, null, 2),
    );
  } finally {
    await lab.stop();
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
