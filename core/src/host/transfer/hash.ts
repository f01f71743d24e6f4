/** The SHA-256 of files, here and on a host, as a whole or by blocks. */
import { createHash } from "crypto";
import { CHUNK, WireError } from "../../wire";
import type { AgentClient } from "../agent/client";
import { receive } from "./exchange";
import { openFile } from "./open";

const DIGEST = 32;
const NUL = Buffer.from([0]);

/**
 * @param block [bytes]; 0: one digest of the whole.
 * @param limit [bytes] that count.
 */
export async function hashFile(path: Buffer, block: number, limit = Infinity): Promise<Buffer[]> {
  const digests: Buffer[] = [];
  const file = await openFile(path);
  const buffer = Buffer.allocUnsafe(CHUNK);
  try {
    let hash = createHash("sha256");
    let left = block;
    let toGo = limit;
    while (toGo > 0) {
      const size = Math.min(CHUNK, toGo, block > 0 ? left : Infinity);
      const { bytesRead } = await file.read(buffer, 0, size, null);
      if (bytesRead === 0) break;
      toGo -= bytesRead;
      hash.update(buffer.subarray(0, bytesRead));
      left -= bytesRead;
      if (block > 0 && left === 0) {
        digests.push(hash.digest());
        hash = createHash("sha256");
        left = block;
      }
    }
    if (block === 0 || left < block) digests.push(hash.digest());
  } finally {
    await file.close();
  }
  return digests;
}

/** The digests of files of a host, in their order: of `root` (an empty path), or below it. Rejects EngineFailure. */
export async function hashOnHost(
  agent: AgentClient,
  root: { readonly path: Buffer | string; readonly cwd: string },
  paths: readonly Buffer[],
  options: { readonly block: number; readonly limit?: number },
  signal: AbortSignal,
): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  const { block, limit = 0 } = options;
  const most = paths.length * DIGEST * (block === 0 ? 1 : Math.ceil(limit / block));
  let size = 0;
  await receive(
    agent,
    "hash",
    { ...root, block, limit },
    signal,
    (received) => {
      for (const piece of received) pieces.push(Buffer.from(piece));
      size += received.reduce((sum, { length }) => sum + length, 0);
      if (size > most) throw new WireError("more hashes than were asked for");
    },
    (operation) => sendSelection(operation, paths),
  );
  const bytes = Buffer.concat(pieces);
  const count = bytes.length / DIGEST;
  if (!Number.isInteger(count) || (block === 0 && count !== paths.length)) {
    throw new WireError(`${String(bytes.length)} bytes of hashes`);
  }
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * DIGEST, (index + 1) * DIGEST));
}

interface Sender {
  send(op: string, fields: { readonly [field: string]: never }, payload: Buffer): Promise<boolean>;
  post(op: string): void;
}

/** Which entries of a folder are meant: each path with a NUL behind it. */
export async function sendSelection(operation: Sender, paths: readonly Buffer[]): Promise<void> {
  const bytes = Buffer.concat(paths.flatMap((path) => [path, NUL]));
  for (let at = 0; at < bytes.length; at += CHUNK) {
    await operation.send("data", {}, bytes.subarray(at, at + CHUNK));
  }
  operation.post("end");
}
