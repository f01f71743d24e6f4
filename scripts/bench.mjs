/** `npm run bench [-- ROW…]`: the same set-up as `npm start`, then lazycluster side by side with its peers. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { installPeers } from "./lib/bench-peers.mjs";
import { isolated } from "./lib/isolation.mjs";
import { inProject } from "./lib/paths.mjs";
import { endMarked, run } from "./lib/processes.mjs";
import { runScript } from "./lib/script.mjs";
import { setUp } from "./lib/setup.mjs";

const timeoutMs = 30 * 60_000;

await runScript(async (lifetime) => {
  await setUp(lifetime, { development: true });
  await installPeers(lifetime.signal);

  // Peers start processes that do not end with them, and leave files; all of them inherit the place where these go.
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "lcb-"));
  lifetime.add(() => fs.rmSync(folder, { recursive: true, force: true }));
  lifetime.add(() => endMarked("LAZYCLUSTER_BENCH", folder));
  const tool = inProject("node_modules", "tsx", "dist", "cli.mjs");
  const { program, args, env } = isolated({
    program: process.execPath,
    args: [tool, inProject("bench", "src", "main.ts"), ...process.argv.slice(2)],
  });
  const claims = process.env["LAZYCLUSTER_TEST_CLAIMS"] ?? os.tmpdir();
  await run(program, args, {
    env: { ...env, TMPDIR: folder, LAZYCLUSTER_BENCH: folder, LAZYCLUSTER_TEST_CLAIMS: claims },
    what: "the bench",
    timeoutMs,
    signal: lifetime.signal,
    onLine: (line) => process.stdout.write(`${line}\n`),
  });
  return 0;
});
