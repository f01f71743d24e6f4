/** `npm run build` right after `npm ci`: there is no .venv yet. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { inProject } from "../lib/paths.mjs";
import { capture } from "../lib/processes.mjs";

test("a build without .venv makes the agent's bundle, the same as with it", async (context) => {
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), "lazycluster-build-"));
  try {
    for (const name of ["scripts", "python-shim/src", "python-shim/bundle.py", "python-shim/strip.py"])
      fs.cpSync(inProject(name), path.join(copy, name), { recursive: true });
    fs.symlinkSync(inProject("node_modules"), path.join(copy, "node_modules"));
    const script = `
      import { writeAgentBundle } from "./scripts/lib/agent-bundle.mjs";
      import { setUpBuild } from "./scripts/lib/setup.mjs";
      await setUpBuild(new AbortController().signal);
      writeAgentBundle();
    `;
    const args = ["--input-type=module", "--eval", script];
    const { code, tail } = await capture(process.execPath, args, { what: "build", timeoutMs: 120_000, cwd: copy });
    const said = tail.join("\n");
    if (said.includes("index was not reached")) {
      context.skip("the Python package index is not reached");
      return;
    }
    assert.equal(code, 0, said);
    assert.match(said, /✓ \.venv with Python 3\.\d+\.\d+ \(\//);
    const bundle = "core/dist/agent/agent.bin";
    assert.deepEqual(fs.readFileSync(path.join(copy, bundle)), fs.readFileSync(inProject(bundle)));
  } finally {
    fs.rmSync(copy, { recursive: true });
  }
});
