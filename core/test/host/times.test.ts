/** A file gets the time that it has elsewhere, as nearly as Node can set it, and is then taken for the same. */
import {
  closeSync,
  futimesSync,
  lstatSync,
  lutimesSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { clampTime, isSameTime, secondsOf } from "../../src/host/transfer/times";

const SECOND = 1_000_000_000n;
/** What ext4 can hold, the narrowest of the usual file systems, as far as a record can. */
const [FIRST, LAST] = [-(2n ** 31n) * SECOND, 2n ** 63n - 1n] as const;

let root: string;
let file: number;
const paths = { file: "", link: "" };
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "lazycluster-times-"));
  paths.file = join(root, "file");
  paths.link = join(root, "link");
  file = openSync(paths.file, "w");
  symlinkSync("file", paths.link);
});
afterAll(() => {
  closeSync(file);
  rmSync(root, { recursive: true });
});

/** What a file, an open file and a link get. */
function set(time: bigint): bigint[] {
  const seconds = secondsOf(time);
  const now = (path: string): bigint => lstatSync(path, { bigint: true }).mtimeNs;
  utimesSync(paths.file, seconds, seconds);
  const first = now(paths.file);
  futimesSync(file, seconds, seconds);
  lutimesSync(paths.link, seconds, seconds);
  return [first, now(paths.file), now(paths.link)];
}
/** How far from it that is. */
function check(time: bigint, most: bigint): void {
  for (const got of set(time)) {
    const off = time - got;
    expect([time, off < 0n ? -off < most : off < most]).toEqual([time, true]);
    expect([time, isSameTime(time, got)]).toEqual([time, true]);
    // It has come to rest: what was set once is set again as the same.
    expect(set(got)[0]).toBe(got);
  }
}

it.each([
  0n,
  1n,
  -1n,
  999n,
  -999n,
  1000n,
  -1000n,
  -1001n,
  -SECOND,
  -SECOND - 1n,
  -102506758_750000000n,
  2n ** 32n * SECOND,
])("%s ns, to the microsecond", (time) => {
  check(time, 1000n);
  // Rounded down, also before 1970.
  expect(set(time)[0]).toBe(((time - (((time % 1000n) + 1000n) % 1000n)) / 1000n) * 1000n);
});

it("any time", () => {
  const near = fc.bigInt({ min: -5000n, max: 5000n });
  const edges = fc.constantFrom(0n, -SECOND, 2n ** 32n * SECOND, 2n ** 33n * SECOND, 10n ** 18n);
  const time = fc.oneof(
    fc.bigInt({ min: FIRST, max: LAST }),
    fc.tuple(edges, near).map(([edge, off]) => edge + off),
  );
  fc.assert(
    fc.property(time, (each) => check(each, each < 2n ** 33n * SECOND ? 1000n : 8000n)),
    { numRuns: 2000 },
  );
  // It does not take for the same what differs.
  fc.assert(fc.property(time, (each) => !isSameTime(each, each + 8000n) && !isSameTime(each, each - 8000n)));
  fc.assert(fc.property(fc.bigInt({ min: FIRST, max: 2n ** 32n * SECOND }), (each) => !isSameTime(each, each + 1000n)));
});

it("what a record cannot hold is the nearest that it can", () => {
  expect([2n ** 63n - 1n, 2n ** 63n, 2n ** 70n].map(clampTime)).toEqual([LAST, LAST, LAST]);
  expect([-(2n ** 63n) + 1n, -(2n ** 63n), -(2n ** 70n)].map(clampTime)).toEqual([-LAST, -LAST, -LAST]);
  expect([0n, -1n, 10n ** 18n].map(clampTime)).toEqual([0n, -1n, 10n ** 18n]);
});
