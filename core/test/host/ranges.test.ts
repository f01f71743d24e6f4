import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BLOCK, cutRanges, missingRanges } from "../../src/host/transfer/ranges";

const digest = (letter: string): Buffer => Buffer.alloc(32, letter);

describe("what is missing of a file", () => {
  it("is all of it, without anything kept", () => {
    expect(missingRanges(0, [], [])).toEqual([]);
    expect(missingRanges(BLOCK * 2 + 5, [], [])).toEqual([{ offset: 0, size: BLOCK * 2 + 5 }]);
  });

  it("is the blocks that differ, and those that are only on one side", () => {
    const here = ["a", "b", "c", "d"].map(digest);
    const there = ["a", "x", "c"].map(digest);
    expect(missingRanges(BLOCK * 4 + 1, here, there)).toEqual([
      { offset: BLOCK, size: BLOCK },
      { offset: BLOCK * 3, size: BLOCK + 1 },
    ]);
  });

  it("is covered exactly once, in ranges of any length", () => {
    const blocks = fc.array(fc.constantFrom("a", "b").map(digest), { maxLength: 6 });
    fc.assert(
      fc.property(
        fc.nat(BLOCK * 6),
        blocks,
        blocks,
        fc.integer({ min: BLOCK / 4, max: BLOCK * 3 }),
        (size, here, there, most) => {
          const missing = missingRanges(size, here, there);
          const cut = cutRanges(missing, most);
          let end = 0;
          for (const range of cut) {
            expect(range.offset).toBeGreaterThanOrEqual(end);
            expect(range.size).toBeGreaterThan(0);
            expect(range.size).toBeLessThanOrEqual(most);
            end = range.offset + range.size;
          }
          expect(end).toBeLessThanOrEqual(size);
          const sum = (ranges: readonly { size: number }[]): number =>
            ranges.reduce((total, each) => total + each.size, 0);
          expect(sum(cut)).toBe(sum(missing));
          const same = (index: number): boolean => here[index]?.equals(there[index] ?? digest("-")) === true;
          const expected = Array.from({ length: Math.ceil(size / BLOCK) }, (_, index) =>
            same(index) ? 0 : Math.min(BLOCK, size - index * BLOCK),
          );
          expect(sum(missing)).toBe(expected.reduce((total, each) => total + each, 0));
        },
      ),
    );
  });
});
