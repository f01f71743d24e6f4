/** Big files: their content travels in ranges, over one connection or several, into one hidden file. */
import type { FileHandle } from "fs/promises";
import { CHUNK, WireError } from "../../wire";
import type { AgentClient } from "../agent/client";
import type { Operation } from "../agent/operation";
import { EMPTY, type TreeEntry } from "./entry";
import { exchange, receive } from "./exchange";
import { hashFile, hashOnHost } from "./hash";
import type { Lanes } from "./lanes";
import { Packing } from "./packing";
import { sendPiece, shorter } from "./writer";

/** [bytes] from which on the content of a file travels apart. */
export const APART = 16 * 1024 * 1024;
/** [bytes] of a piece that is kept or sent again as a whole. */
export const BLOCK = 4 * 1024 * 1024;

/** Pieces of a range are read into the same few buffers again and again: one is free when the agent has what was in it. */
class Buffers {
  private readonly used: { readonly buffer: Buffer; readonly mark: number }[] = [];

  constructor(private readonly operation: Operation) {}

  take(): Buffer {
    const [oldest] = this.used;
    if (!oldest || oldest.mark > this.operation.arrived) return Buffer.allocUnsafe(CHUNK);
    this.used.shift();
    return oldest.buffer;
  }

  /** It was handed on. */
  give(buffer: Buffer): void {
    this.used.push({ buffer, mark: this.operation.sent });
  }
}

export interface Range {
  readonly offset: number;
  readonly size: number;
}

/** Ranges of at most so many bytes. Pure. */
export function cutRanges(ranges: readonly Range[], most: number): Range[] {
  return ranges.flatMap(({ offset, size }) =>
    Array.from({ length: Math.ceil(size / most) }, (_, index) => ({
      offset: offset + index * most,
      size: Math.min(most, size - index * most),
    })),
  );
}

/** What is missing of a file, given the digests of its blocks here and there. Pure. */
export function missingRanges(size: number, here: readonly Buffer[], there: readonly Buffer[]): Range[] {
  const ranges: Range[] = [];
  for (let offset = 0; offset < size; offset += BLOCK) {
    const index = offset / BLOCK;
    const [mine, other] = [here[index], there[index]];
    if (mine && other && mine.equals(other)) continue;
    const last = ranges.at(-1);
    const length = Math.min(BLOCK, size - offset);
    if (last && last.offset + last.size === offset) {
      ranges[ranges.length - 1] = { offset: last.offset, size: last.size + length };
    } else ranges.push({ offset, size: length });
  }
  return ranges;
}

/** Writes these ranges of a local file into a hidden file of the host. Rejects EngineFailure, Error. */
export async function sendRanges(
  lanes: Lanes,
  file: FileHandle,
  entry: TreeEntry,
  target: Buffer,
  ranges: readonly Range[],
  signal: AbortSignal,
  sent: (bytes: number) => void,
): Promise<void> {
  await all(cutRanges(ranges, lanes.rangeSize), (range) =>
    lanes.run(async (agent) => {
      signal.throwIfAborted();
      const { operation, done } = exchange(agent, "write", { path: target, cwd: "", ...range }, signal);
      const packing = new Packing();
      const buffers = new Buffers(operation);
      let count = 0;
      try {
        while (count < range.size && !operation.ended) {
          const buffer = buffers.take();
          const piece = buffer.subarray(0, Math.min(CHUNK, range.size - count));
          await readAll(file, piece, range.offset + count, entry);
          await sendPiece(operation, piece, packing);
          buffers.give(buffer);
          count += piece.length;
          sent(piece.length);
        }
        await done;
      } catch (error) {
        operation.cancel();
        // It will be sent again, or not at all.
        sent(-count);
        throw error;
      }
    }),
  );
}

/** Reads these ranges of a file of the host into a local one. Rejects EngineFailure, Error. */
export async function receiveRanges(
  lanes: Lanes,
  file: FileHandle,
  entry: TreeEntry,
  ranges: readonly Range[],
  signal: AbortSignal,
  received: (bytes: number) => void,
): Promise<void> {
  const { size: total, mtime, extra: path } = entry;
  await all(cutRanges(ranges, lanes.rangeSize), (range) =>
    lanes.run(async (agent) => {
      signal.throwIfAborted();
      let count = 0;
      try {
        await receive(agent, "read", { path, cwd: "", total, mtime, ...range }, signal, async (pieces) => {
          const size = pieces.reduce((sum, { length }) => sum + length, 0);
          if (count + size > range.size) throw new WireError("more content than was asked for");
          await writeAll(file, pieces, size, range.offset + count);
          count += size;
          received(size);
        });
        if (count !== range.size) throw new WireError("less content than was asked for");
      } catch (error) {
        received(-count);
        throw error;
      }
    }),
  );
}

/**
 * What is missing of a file, of which `kept` bytes were kept there or here, and may be right.
 *
 * @param local the side that is here: the whole, or what was kept.
 * @param remote likewise.
 */
export async function rangesToGo(
  agent: AgentClient,
  size: number,
  kept: number,
  local: Buffer,
  remote: Buffer,
  signal: AbortSignal,
): Promise<Range[]> {
  // A block that is not whole is sent again.
  const limit = kept - (kept % BLOCK);
  if (limit === 0) return missingRanges(size, [], []);
  const [here, there] = await Promise.all([
    hashFile(local, BLOCK, limit),
    hashOnHost(agent, { path: remote, cwd: "" }, [EMPTY], { block: BLOCK, limit }, signal),
  ]);
  return missingRanges(size, here, there);
}

async function readAll(file: FileHandle, piece: Buffer, position: number, entry: TreeEntry): Promise<void> {
  for (let offset = 0; offset < piece.length;) {
    const { bytesRead } = await file.read(piece, offset, piece.length - offset, position + offset);
    if (bytesRead === 0) throw shorter(entry);
    offset += bytesRead;
  }
}

/** A disk that becomes full takes a part without an error; then the rest is tried one by one, until it says so. */
async function writeAll(file: FileHandle, pieces: readonly Buffer[], size: number, position: number): Promise<void> {
  let written = (await file.writev(pieces, position)).bytesWritten;
  if (written === size) return;
  for (const rest = Buffer.concat(pieces, size); written < size;) {
    written += (await file.write(rest, written, size - written, position + written)).bytesWritten;
  }
}

/** Waits for all, also when one has failed: nothing goes on behind the back of who cleans up. */
async function all<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const failed = (await Promise.allSettled(items.map(work))).find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
}
