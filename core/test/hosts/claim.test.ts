/** What a killed run left is removed by the next; what somebody else wrote there removes nothing. */
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { needsRoot } from ".";
import type * as Claims from "./claim";

const UID = process.getuid?.() ?? 0;
const { LAZYCLUSTER_TEST_CLAIMS } = process.env;
let dir = "";
let state = "";
let claims: typeof Claims;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "lazycluster-test-"));
  state = join(dir, `lazycluster-test-hosts-${UID}`);
  process.env["LAZYCLUSTER_TEST_CLAIMS"] = dir;
  vi.resetModules();
  claims = await vi.importActual<typeof Claims>("./claim");
});

afterEach(() => {
  process.env["LAZYCLUSTER_TEST_CLAIMS"] = LAZYCLUSTER_TEST_CLAIMS;
  rmSync(dir, { recursive: true });
});

const make = (name: string): string => {
  mkdirSync(join(dir, name), { recursive: true });
  return join(dir, name);
};

/** As a run left it whose process is gone. */
function leave(name: string, claim: Partial<Claims.Claim>): void {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const all = { range: 300, bridge: "lct300", dir: join(dir, "nothing"), pid: process.pid, startedAt: "1", ...claim };
  writeFileSync(join(state, name), JSON.stringify(all));
}

function claimAndRelease(): void {
  claims.release(claims.claimRange(make("lazycluster-hosts-mine")));
}

test("the directory of a run that was killed is removed", () => {
  const left = make("lazycluster-hosts-left");
  leave("300.json", { dir: left });
  claimAndRelease();
  expect([existsSync(left), existsSync(state)]).toEqual([false, false]);
});

describe("nothing is removed that a file names", () => {
  test.each([
    ["with another name", { dir: "precious" }],
    ["as another bridge", { dir: "lazycluster-hosts-other", bridge: "eth0" }],
    ["as another range", { dir: "lazycluster-hosts-other", range: 7 }],
  ])("%s", (_, claim) => {
    const named = make(claim.dir);
    leave("300.json", { ...claim, dir: named });
    claimAndRelease();
    expect(existsSync(named)).toBe(true);
  });

  test("outside of the temporary directory", () => {
    const outside = mkdtempSync(join(tmpdir(), "lazycluster-hosts-"));
    leave("300.json", { dir: outside });
    leave("301.json", { range: 301, bridge: "lct301", dir: `${dir}/../${outside.split("/").at(-1)!}` });
    claimAndRelease();
    expect(existsSync(outside)).toBe(true);
    rmSync(outside, { recursive: true });
  });
});

describe("a state directory that is not this user's alone is refused", () => {
  const refused = /is not a private directory of this user/;

  test("one that others may write", () => {
    mkdirSync(state);
    expect(claimAndRelease).toThrow(refused);
  });

  test("one of somebody else", needsRoot(), () => {
    mkdirSync(state, { mode: 0o700 });
    chownSync(state, 61234, 61234);
    expect(claimAndRelease).toThrow(refused);
  });

  test("a link", () => {
    symlinkSync(make("elsewhere"), state);
    expect(claimAndRelease).toThrow(refused);
  });
});
