import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Candidate, leastBusy } from "../../src/runtime/placement";

const idle = { running: 0, given: 0, cores: 4 };

describe("the least busy host", () => {
  it.each<[string, Candidate[], number]>([
    ["of none there is none", [], -1],
    ["of equal ones the first", [idle, idle], 0],
    ["of equal ones that which was given the fewest tasks", [{ ...idle, given: 1 }, idle], 1],
    [
      "the one with fewer running tasks",
      [
        { ...idle, running: 2 },
        { ...idle, running: 1, given: 9 },
      ],
      1,
    ],
    ["the one with more cores", [{ ...idle, cores: 2 }, idle], 1],
    [
      "the one with more cores for each task",
      [
        { ...idle, cores: 2 },
        { ...idle, running: 1, cores: 8 },
      ],
      1,
    ],
    [
      "not a large one that is full",
      [
        { ...idle, cores: 2 },
        { ...idle, running: 8, cores: 8 },
      ],
      0,
    ],
    [
      "a fraction of a core is less than one",
      [
        { ...idle, cores: 0.5 },
        { ...idle, cores: 1 },
      ],
      1,
    ],
    [
      "an unknown one counts as an average one",
      [
        { ...idle, cores: 2 },
        { ...idle, cores: null },
        { ...idle, cores: 8 },
      ],
      2,
    ],
    [
      "nonsense of a host counts as unknown",
      [
        { ...idle, cores: -1 },
        { ...idle, cores: 2, running: 1 },
      ],
      0,
    ],
  ])("%s", (_, candidates, expected) => {
    expect(leastBusy(candidates)).toBe(expected);
  });

  it("gives tasks to hosts in proportion to their cores, whatever these are", () => {
    const cores = fc.array(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(cores, (sizes) => {
        const hosts = sizes.map((size) => ({ running: 0, given: 0, cores: size }));
        const total = sizes.reduce((sum, size) => sum + size, 0);
        for (let task = 0; task < total; task++) {
          const chosen = hosts[leastBusy(hosts)]!;
          chosen.running += 1;
          chosen.given += 1;
        }
        expect(hosts.map(({ running }) => running)).toEqual(sizes);
      }),
    );
  });
});
