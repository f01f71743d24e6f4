import { WireError } from "../../wire";
import type { AgentClient } from "../agent/client";
import { type TreeEntry, below, showPath } from "./entry";
import { receive } from "./exchange";

/** A small text of a folder on the host, of the size that is listed. Rejects EngineFailure, also when it is no longer as it was listed. */
export async function readOnHost(
  agent: AgentClient,
  folder: { readonly path: string; readonly cwd: string },
  entry: TreeEntry,
  signal: AbortSignal,
): Promise<Buffer> {
  const { size, mtime } = entry;
  const pieces: Buffer[] = [];
  let left = size;
  const path = below(Buffer.from(folder.path, "utf8"), entry.path);
  const range = { offset: 0, size, total: size, mtime };
  await receive(agent, "read", { path, cwd: folder.cwd, ...range }, signal, (received) => {
    left -= received.reduce((sum, { length }) => sum + length, 0);
    if (left < 0) throw new WireError(`more content of ${showPath(entry.path)} than was announced`);
    for (const piece of received) pieces.push(Buffer.from(piece));
  });
  const bytes = Buffer.concat(pieces);
  if (bytes.length !== size) throw new WireError(`${String(bytes.length)} bytes of ${showPath(entry.path)}`);
  return bytes;
}
