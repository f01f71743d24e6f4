/** The vectors that the agent's tests read too: both ends must agree on every byte. */
import { describe, expect, it } from "vitest";
import { type Decoded, FrameDecoder, WireError, decode, encode } from "../../src/wire";
import { bytesOf, load, same, valueOf } from "./tagged";

describe("msgpack vectors", () => {
  it.each(load("msgpack.json"))("%s", (_, vector) => {
    const bytes = bytesOf(vector.hex);
    if (vector.error) {
      expect(() => decode(bytes)).toThrow(WireError);
      return;
    }
    const note = { exact: true };
    const value = valueOf(vector.value ?? null, note);
    expect(same(decode(bytes))).toEqual(same(value));
    if (note.exact && !vector.decodeOnly) expect(same(decode(encode(value as Decoded)))).toEqual(same(value));
  });
});

describe("frame vectors", () => {
  it.each(load("frames.json"))("%s", (_, vector) => {
    const decoder = new FrameDecoder();
    const read = () => [...decoder.push(bytesOf(vector.hex))].map(({ payload }) => payload.toString("hex"));
    if (vector.error) {
      expect(read).toThrow(WireError);
      return;
    }
    expect(read()).toEqual(vector.frames?.map(({ payload }) => payload) ?? []);
    expect(decoder.pending).toBe(vector.pending ?? 0);
  });
});
