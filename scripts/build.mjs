/** `npm run build`: compiles the TypeScript projects and bundles the host agent. */
import { build } from "./lib/build.mjs";
import { runScript } from "./lib/script.mjs";
import { setUpBuild } from "./lib/setup.mjs";

await runScript(async (lifetime) => {
  await setUpBuild(lifetime.signal);
  await build(lifetime.signal);
  return 0;
});
