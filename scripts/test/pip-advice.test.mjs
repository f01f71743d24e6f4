/** What is advised when pip fails, with what pip really prints. */
import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { venvPython } from "../lib/paths.mjs";
import { whatNext } from "../lib/pip-advice.mjs";
import { capture } from "../lib/processes.mjs";

let folder = "";
before(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "lazycluster-advice-"))));
after(() => fs.rmSync(folder, { recursive: true }));

/** @param {readonly string[]} args */
async function adviceFor(...args) {
  const env = {
    ...process.env,
    PIP_CONFIG_FILE: "/dev/null",
    PIP_FIND_LINKS: folder,
    PIP_DISABLE_PIP_VERSION_CHECK: "1",
    FORCE_COLOR: "1",
  };
  const pip = ["-m", "pip", "install", "--dry-run", "--no-cache-dir", ...args];
  const { code, tail } = await capture(venvPython, pip, { what: "pip", timeoutMs: 60_000, env });
  assert.notEqual(code, 0);
  return whatNext(tail, "3.11.2");
}

test("no index is reached", async () => {
  const advice = await adviceFor("--index-url=http://127.0.0.1:1/simple", "--retries=1", "lazycluster-nowhere==1.0");
  assert.match(advice, /^The Python package index was not reached\./);
});

test("the version is not for this Python", async () => {
  const file = "lazycluster_later-1.0-py3-none-any.whl";
  const page = `<a href="/${file}" data-requires-python="&gt;=3.99">${file}</a>`;
  const index = http.createServer((_, response) => response.setHeader("content-type", "text/html").end(page));
  await new Promise((resolve) => index.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (index.address());
  try {
    const advice = await adviceFor(`--index-url=http://127.0.0.1:${port}/simple`, "lazycluster-later==1.0");
    assert.match(advice, /^The package index has no lazycluster-later==1\.0 for Python 3\.11\.2 on this machine/);
    assert.match(advice, /remove \.venv, put another Python from 3\.10 to 3\.\d+ on your PATH/);
    assert.doesNotMatch(advice, /network/);
  } finally {
    index.close();
  }
});

test("no room", () => {
  assert.match(whatNext(["ERROR: [Errno 28] No space left on device"], "3.11.2"), /^The disk is full/);
});
