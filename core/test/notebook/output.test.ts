/** What cells print: gathered in this thread, handed to another through shared memory, decoded from bytes. */
import { once } from "events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Worker } from "worker_threads";
import type { Header, Outgoing } from "../../src/notebook/message";
import { Output } from "../../src/notebook/output";
import { Publisher } from "../../src/notebook/publisher";
import { TextRing } from "../../src/notebook/text-ring";
import { Writers } from "../../src/notebook/writers";

const cell = (msg_id: string): Header => ({
  msg_id,
  session: "",
  username: "",
  date: "",
  msg_type: "execute_request",
  version: "5.4",
});

describe("output that is gathered", () => {
  const gathered = (): { output: Output; sent: Outgoing[] } => {
    const sent: Outgoing[] = [];
    return { sent, output: new Output((message) => void sent.push(message)) };
  };

  it("keeps everything in order, under the cell and the stream that it belongs to", () => {
    const cells = [cell("1"), cell("2")];
    const written = fc.array(
      fc.tuple(fc.constantFrom("stdout", "stderr"), fc.string({ unit: "binary" }), fc.constantFrom(...cells)),
    );
    fc.assert(
      fc.property(written, (pieces) => {
        const { output, sent } = gathered();
        for (const [name, text, parent] of pieces) output.write(name, text, parent);
        output.flush();
        const characters = (name: unknown, parent: Header | null, text: unknown): string =>
          Array.from(String(text), (character) => `${String(name)} ${parent?.msg_id ?? ""} ${character}`).join("\n");
        const found = sent.map(({ content, parent }) => characters(content["name"], parent, content["text"]));
        const put = pieces.filter(([, text]) => text !== "");
        expect(found.join("\n")).toBe(put.map(([name, text, parent]) => characters(name, parent, text)).join("\n"));
      }),
    );
  });

  it("shows the first words of a cell at once, after a flood", () => {
    const { output, sent } = gathered();
    for (let line = 0; line < 1000; line++) output.write("stdout", "flood\n", cell("1"));
    output.write("stdout", "started", cell("2"));
    expect(sent.at(-1)?.content["text"]).toBe("started");
  });
});

describe("what cells write", () => {
  it("has its characters, also where one comes in two writes, and in other encodings", () => {
    const printed: string[] = [];
    const transport = { send: () => undefined, print: (_name: string, text: string) => void printed.push(text) };
    const streams = [process.stdout, process.stderr];
    const before = streams.map((stream) => Reflect.get(stream, "write") as unknown);
    try {
      new Writers(new Publisher(transport)).install();
      for (const byte of Buffer.from("💡é")) process.stdout.write(Buffer.from([byte]));
      process.stdout.write("aMOp", "base64");
      process.stdout.write("!", "utf8");
    } finally {
      for (const [index, stream] of streams.entries()) Reflect.set(stream, "write", before[index]);
    }
    expect(printed.join("")).toBe("💡éhé!");
  });
});

describe("text in shared memory", () => {
  const never = (): never => {
    throw new Error("nobody needs to be told");
  };

  it("comes out as it went in, wherever the reader looks and the memory ends", () => {
    const ring = new TextRing();
    const steps = fc.array(
      fc.record({ text: fc.string({ unit: "grapheme", maxLength: 40 }), times: fc.nat(9000), reads: fc.boolean() }),
    );
    fc.assert(
      fc.property(steps, (list) => {
        let read = "";
        let written = "";
        for (const { text, times, reads } of list) {
          const long = text.repeat(Math.floor(times / (text.length + 1)));
          written += long;
          expect(ring.write(long, () => (read += ring.read(ring.look())), 0)).toBe("");
          if (reads) read += ring.read(ring.look());
        }
        read += ring.read(ring.look());
        expect(read).toBe(written);
      }),
    );
  });

  it("goes no further than where it is read to", () => {
    const ring = new TextRing();
    ring.write("before", () => undefined, 0);
    const at = ring.head;
    ring.write("behind", never, 0);
    expect([ring.read(at), ring.read(at), ring.read(ring.look())]).toEqual(["before", "", "behind"]);
  });

  it("is told of once, until the reader looks again", () => {
    const ring = new TextRing();
    const told: boolean[] = [];
    const write = (text: string): void => void ring.write(text, (atOnce) => void told.push(atOnce), 0);
    write("a");
    write("b");
    expect(told).toEqual([false]);
    write("c".repeat(500_000));
    write("d");
    expect(told).toEqual([false, true]);
    ring.read(ring.look());
    write("e");
    expect(told).toEqual([false, true, false]);
  });

  it("that finds no place comes back, with nothing of it lost", () => {
    const ring = new TextRing();
    const text = "💡é-".repeat(300_000);
    const rest = ring.write(text, () => undefined, 1);
    expect(rest.length).toBeGreaterThan(0);
    expect(ring.read(ring.look()) + rest).toBe(text);
  });

  it("waits for a reader in another thread", async () => {
    const ring = new TextRing();
    const module = JSON.stringify(require.resolve("../../dist/notebook/text-ring.js"));
    const reader = new Worker(
      `const { parentPort, workerData } = require("worker_threads");
       const ring = new (require(${module}).TextRing)(workerData);
       let read = 0;
       parentPort.on("message", (total) => {
         // It gets no message while the other thread waits, but sees the memory.
         for (const end = Date.now() + 20000; read < total && Date.now() < end;) read += ring.read(ring.look()).length;
         parentPort.postMessage(read);
       });`,
      { eval: true, workerData: ring.memory },
    );
    try {
      await once(reader, "online");
      const text = "line\n".repeat(1_000_000);
      reader.postMessage(text.length);
      expect(ring.write(text, () => undefined, 20_000)).toBe("");
      expect((await once(reader, "message"))[0]).toBe(text.length);
    } finally {
      await reader.terminate();
    }
  });
});
