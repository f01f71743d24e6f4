/** The secret that names the kept pieces of interrupted transfers. */
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lazycluster-key-"));
  vi.stubEnv("LAZYCLUSTER_STATE_DIR", join(folder, "state"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** As a process of its own would see it. */
async function key(): Promise<string> {
  vi.resetModules();
  return (await import("../../src/engine/partials-key.js")).partialsKey().toString("hex");
}

it("is made once, for all processes, and nobody else may read it", async () => {
  const first = await key();
  expect(first).toMatch(/^[0-9a-f]{64}$/);
  expect(await key()).toBe(first);
  const state = join(folder, "state");
  expect(readdirSync(state)).toEqual(["partials.key"]);
  expect(readFileSync(join(state, "partials.key")).toString("hex")).toBe(first);
  expect(statSync(join(state, "partials.key")).mode & 0o777).toBe(0o600);
  expect(statSync(state).mode & 0o777).toBe(0o700);
});

it("is another one for each process where it cannot be kept, or others know it", async () => {
  const path = join(folder, "state", "partials.key");
  await key();
  const spoil: (() => void)[] = [
    () => chmodSync(path, 0o644),
    () => writeFileSync(path, "short"),
    () => {
      rmSync(path);
      writeFileSync(join(folder, "elsewhere"), Buffer.alloc(32), { mode: 0o600 });
      symlinkSync(join(folder, "elsewhere"), path);
    },
    () => writeFileSync(join(folder, "state file"), ""),
  ];
  for (const each of spoil) {
    each();
    if (each === spoil.at(-1)) vi.stubEnv("LAZYCLUSTER_STATE_DIR", join(folder, "state file"));
    const [one, other] = [await key(), await key()];
    expect(one).toMatch(/^[0-9a-f]{64}$/);
    expect(one).not.toBe(other);
    rmSync(path, { force: true });
    await key();
  }
});
