/** `npm run bench [-- ROW…]`: the same set-up as `npm start`, then lazycluster side by side with its peers. */
import { inProject } from "./lib/paths.mjs";
import { run } from "./lib/processes.mjs";
import { runScript } from "./lib/script.mjs";
import { setUp } from "./lib/setup.mjs";

const timeoutMs = 30 * 60_000;

await runScript(async (lifetime) => {
  await setUp(lifetime, { development: true });
  await run(
    process.execPath,
    [
      inProject("node_modules", "tsx", "dist", "cli.mjs"),
      inProject("bench", "src", "main.ts"),
      ...process.argv.slice(2),
    ],
    {
      what: "the bench",
      timeoutMs,
      signal: lifetime.signal,
      onLine: (line) => process.stdout.write(`${line}\n`),
    },
  );
  return 0;
});
