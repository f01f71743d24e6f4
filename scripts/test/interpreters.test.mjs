/** Which Python makes .venv, among programs on PATH that say what they are. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { findPythons, inOrderOfChoice, whyNot } from "../lib/interpreters.mjs";

const { signal } = new AbortController();
const { PATH } = process.env;
let folder = "";

before(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "lazycluster-pythons-"))));
beforeEach(() => {
  for (const name of fs.readdirSync(folder)) fs.rmSync(path.join(folder, name));
  process.env["PATH"] = folder;
});
after(() => {
  process.env["PATH"] = PATH;
  fs.rmSync(folder, { recursive: true });
});

/**
 * @param {string} name
 * @param {string} version
 * @param {readonly string[]} [lacks]
 */
function python(name, version, lacks = []) {
  const executable = path.join(folder, name);
  const said = JSON.stringify({ executable, version: version.split(".").map(Number), lacks });
  fs.writeFileSync(executable, `#!/bin/sh\necho '${said}'\n`, { mode: 0o755 });
}

const choice = async () =>
  inOrderOfChoice(await findPythons(signal)).map(({ executable }) => path.relative(folder, executable));

test("the newest comes first, whatever python3 is", async () => {
  python("python3", "3.11.2");
  python("python3.10", "3.10.0");
  python("python3.13", "3.13.0");
  assert.deepEqual(await choice(), ["python3.13", "python3", "python3.10"]);
});

test("one that is too old, and one that cannot make environments, do not count, and why is said", async () => {
  python("python3", "3.9.2");
  python("python3.11", "3.11.2");
  python("python3.13", "3.13.0", ["ensurepip"]);
  assert.deepEqual(await choice(), ["python3.11"]);
  const found = await findPythons(signal);
  const reasons = Object.fromEntries(found.map((one) => [path.basename(one.executable), whyNot(one)]));
  assert.deepEqual(reasons, {
    python3: "older than 3.10",
    "python3.11": undefined,
    "python3.13": "without ensurepip",
  });
});

test("one that is newer than what the packages were tried with is the last resort", async () => {
  python("python3", "3.99.0");
  python("python3.12", "3.12.1");
  assert.deepEqual(await choice(), ["python3.12", "python3"]);
});

test("a link counts once, a name that cannot be run not at all", async () => {
  python("python3.12", "3.12.1");
  fs.symlinkSync("python3.12", path.join(folder, "python3"));
  fs.writeFileSync(path.join(folder, "python3.14"), "#!/bin/sh\nexit 127\n", { mode: 0o755 });
  fs.symlinkSync("nowhere", path.join(folder, "python3.13"));
  assert.deepEqual(await choice(), ["python3.12"]);
});
