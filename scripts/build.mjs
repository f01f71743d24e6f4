/** `npm run build`: compiles the TypeScript projects and bundles the host agent. */
import { build } from "./lib/build.mjs";
import { runScript } from "./lib/script.mjs";

await runScript(async (lifetime) => {
  await build(lifetime.signal);
  return 0;
});
