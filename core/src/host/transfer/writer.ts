/** The bytes of a tree on their way to the agent, joined to large pieces. */
import { closeSync, readSync } from "fs";
import type { FileHandle } from "fs/promises";
import { CHUNK } from "../../wire";
import type { Operation } from "../agent/operation";
import { type TreeEntry, showPath } from "./entry";
import { openFile, openFileSync } from "./open";
import { Packing } from "./packing";
import type { Planned } from "./plan";
import { recordSize, writeRecord } from "./records";

/** [bytes] up to which a file is read by one synchronous call. */
const SMALL = 64 * 1024;

export class TreeWriter {
  private buffer = Buffer.allocUnsafe(CHUNK);
  private used = 0;
  private readonly packing = new Packing();

  constructor(private readonly operation: Operation) {}

  async record(entry: TreeEntry): Promise<void> {
    const size = recordSize(entry);
    if (this.used + size > this.buffer.length) await this.flush();
    if (size <= this.buffer.length) this.used = writeRecord(entry, this.buffer, this.used);
  }

  /** The content of the file whose record was the last. Rejects Error when it cannot be read, or is shorter now. */
  async content(entry: Planned, sent: (bytes: number) => void): Promise<void> {
    if (entry.size <= SMALL) {
      if (this.used + entry.size > this.buffer.length) await this.flush();
      this.used += readWhole(entry, this.buffer, this.used);
      sent(entry.size);
      return;
    }
    const file = await openFile(entry.source);
    try {
      await this.pour(file, entry, sent);
    } finally {
      await file.close();
    }
  }

  /** Resolves when all was handed on. */
  async flush(): Promise<void> {
    if (this.used === 0) return;
    const piece = this.buffer.subarray(0, this.used);
    this.buffer = Buffer.allocUnsafe(CHUNK);
    this.used = 0;
    await sendPiece(this.operation, piece, this.packing);
  }

  private async pour(file: FileHandle, entry: Planned, sent: (bytes: number) => void): Promise<void> {
    let left = entry.size;
    while (left > 0 && !this.operation.ended) {
      const room = Math.min(left, this.buffer.length - this.used);
      const { bytesRead } = await file.read(this.buffer, this.used, room, null);
      if (bytesRead === 0) throw shorter(entry);
      this.used += bytesRead;
      left -= bytesRead;
      if (this.used === this.buffer.length) await this.flush();
      sent(bytesRead);
    }
  }
}

export async function sendPiece(operation: Operation, piece: Buffer, packing: Packing): Promise<boolean> {
  packing.measure(operation.arrived);
  const packed = await packing.pack(piece);
  return packed ? operation.send("data", { z: true }, packed) : operation.send("data", {}, piece);
}

export function shorter(entry: TreeEntry & { readonly source?: Buffer }): Error {
  const name = entry.source?.toString("utf8") ?? showPath(entry.path);
  return new Error(`${name} became shorter while it was sent: send it again when it rests`);
}

function readWhole(entry: Planned, buffer: Buffer, start: number): number {
  const file = openFileSync(entry.source);
  try {
    let at = start;
    const end = start + entry.size;
    while (at < end) {
      const count = readSync(file, buffer, at, end - at, null);
      if (count === 0) throw shorter(entry);
      at += count;
    }
    return entry.size;
  } finally {
    closeSync(file);
  }
}
