import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameDecoder, MAX_HEADER, MAX_PAYLOAD, WireError, encodeFrameHead } from "../../src/wire";

function frame(id: number, payload: Buffer): Buffer {
  return Buffer.concat([encodeFrameHead({ op: "data", id }, payload.length), payload]);
}

describe("frames", () => {
  it("come out whole and in order, however the stream was cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 2000 }), { minLength: 1, maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 }),
        (payloads, cuts) => {
          const stream = Buffer.concat(payloads.map((payload, id) => frame(id, Buffer.from(payload))));
          const decoder = new FrameDecoder();
          const seen: { id: number; payload: Buffer }[] = [];
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            const next = at + (cuts[turn % cuts.length] ?? 1);
            for (const { header, payload } of decoder.push(stream.subarray(at, next))) {
              seen.push({ id: header.integer("id"), payload: Buffer.from(payload) });
            }
            at = next;
          }
          expect(seen).toEqual(payloads.map((payload, id) => ({ id, payload: Buffer.from(payload) })));
          expect(decoder.pending).toBe(0);
        },
      ),
    );
  });

  it("end any garbage in frames or a WireError", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (pieces) => {
        const decoder = new FrameDecoder();
        try {
          for (const piece of pieces)
            for (const received of decoder.push(Buffer.from(piece))) expect(received.header.op).toBeTypeOf("string");
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ["no header", 0, 0],
    ["a header that is too long", MAX_HEADER + 1, 0],
    ["a payload that is too long", 1, MAX_PAYLOAD + 1],
    ["both far too long", 0xffffffff, 0xffffffff],
  ])("refuse %s before its bytes are there", (_, header, payload) => {
    const prefix = Buffer.alloc(8);
    prefix.writeUInt32BE(header, 0);
    prefix.writeUInt32BE(payload, 4);
    expect(() => [...new FrameDecoder().push(prefix)]).toThrow(WireError);
  });

  it("refuse a header that is no map, and one without `op`", () => {
    for (const body of [
      Buffer.from([0xc0]),
      Buffer.from([0x90]),
      Buffer.from([0x80]),
      Buffer.from([0x81, 0xa2, 0x6f, 0x70, 0x01]),
    ]) {
      const prefix = Buffer.alloc(8);
      prefix.writeUInt32BE(body.length, 0);
      expect(() => [...new FrameDecoder().push(Buffer.concat([prefix, body]))].map(({ header }) => header.op)).toThrow(
        WireError,
      );
    }
  });

  it("cannot be made beyond the limits", () => {
    expect(() => encodeFrameHead({ op: "run", cmd: "x".repeat(MAX_HEADER) })).toThrow(WireError);
    expect(() => encodeFrameHead({ op: "data" }, MAX_PAYLOAD + 1)).toThrow(WireError);
  });

  it("have fields of the type that was asked for, or are refused", () => {
    const [received] = [
      ...new FrameDecoder().push(
        encodeFrameHead({ op: "x", text: "a", number: -1, big: 2n ** 60n, bytes: Buffer.from("b"), none: null }),
      ),
    ];
    const header = received!.header;
    expect(header.text("text")).toBe("a");
    expect(header.bigint("big")).toBe(2n ** 60n);
    expect(header.bytes("bytes").toString()).toBe("b");
    expect(header.optionalText("none")).toBeNull();
    expect(header.optionalInteger("missing")).toBeNull();
    for (const wrong of [
      () => header.text("number"),
      () => header.integer("text"),
      () => header.integer("number"),
      () => header.integer("big"),
      () => header.bytes("text"),
      () => header.bytesList("text"),
      () => header.textList("number"),
      () => header.flag("text"),
      () => header.optionalMap("text"),
    ]) {
      expect(wrong).toThrow(WireError);
    }
  });
});
