import { randomBytes } from "node:crypto";
import { deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { Packing, unpack } from "../../src/host/transfer/packing";
import { WireError } from "../../src/wire";

const MIB = 1024 * 1024;
const text = Buffer.alloc(256 * 1024, "some text that repeats itself, ");
const noise = randomBytes(256 * 1024);

/** A line on which `mbPerSecond` arrive. */
function line(mbPerSecond: number): { packing: Packing; pass: (mb: number) => void } {
  let now = 0;
  let arrived = 0;
  const packing = new Packing(() => now);
  const pass = (mb: number): void => {
    arrived += mb * MIB;
    now += (mb / mbPerSecond) * 1000;
    packing.measure(arrived);
  };
  return { packing, pass };
}

describe("packing", () => {
  it("starts when the line is known to be slow, and gives back what went in", async () => {
    const { packing, pass } = line(10);
    expect(await packing.pack(text)).toBeNull();
    pass(1);
    expect(await packing.pack(text)).toBeNull();
    pass(1);
    const packed = await packing.pack(text);
    expect(packed!.length).toBeLessThan(text.length / 10);
    expect(unpack(packed!).equals(text)).toBe(true);
    expect(await packing.pack(text.subarray(0, 100))).toBeNull();
  });

  it("does not start on a fast line, and ends when it becomes fast", async () => {
    const fast = line(500);
    fast.pass(4);
    expect(await fast.packing.pack(text)).toBeNull();
    let speed = 10;
    let now = 0;
    const packing = new Packing(() => now);
    for (let arrived = 2; arrived <= 8; arrived += 2) {
      now += (2 / speed) * 1000;
      packing.measure(arrived * MIB);
      expect((await packing.pack(text)) !== null).toBe(speed < 40);
      if (arrived === 4) speed = 500;
    }
  });

  it("tries data that is not worth it only now and then", async () => {
    const { packing, pass } = line(10);
    pass(2);
    expect(await packing.pack(noise)).toBeNull();
    const packed: boolean[] = [];
    for (let count = 0; count < 65; count++) packed.push((await packing.pack(text)) !== null);
    expect(packed.indexOf(true)).toBe(64);
  });

  it("refuses what is broken, and what becomes too much", () => {
    expect(() => unpack(Buffer.from("nonsense"))).toThrow(WireError);
    expect(() => unpack(deflateSync(Buffer.alloc(MIB + 1)))).toThrow(WireError);
    expect(() => unpack(deflateSync(text).subarray(0, 100))).toThrow(WireError);
    expect(unpack(deflateSync(Buffer.alloc(MIB))).length).toBe(MIB);
  });
});
