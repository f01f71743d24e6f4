import { WireError } from "../../wire";
import type { AgentClient } from "../agent-client";
import { type TreeEntry, below, showPath } from "./entry";
import { receive } from "./exchange";

/** [bytes] of a small text. */
const MOST = 1024 * 1024;

/** A small text of a folder on the host. Rejects EngineFailure, also when it is no longer as it was listed. */
export async function readOnHost(
  agent: AgentClient,
  folder: { readonly path: string; readonly cwd: string },
  entry: TreeEntry,
  signal: AbortSignal,
): Promise<Buffer> {
  const { size, mtime } = entry;
  if (size > MOST) throw new WireError(`${showPath(entry.path)} with ${String(size)} bytes`);
  const pieces: Buffer[] = [];
  const path = below(Buffer.from(folder.path, "utf8"), entry.path);
  const range = { offset: 0, size, total: size, mtime };
  await receive(agent, "read", { path, cwd: folder.cwd, ...range }, signal, (received) => {
    for (const piece of received) pieces.push(Buffer.from(piece));
  });
  const bytes = Buffer.concat(pieces);
  if (bytes.length !== size) throw new WireError(`${String(bytes.length)} bytes of ${showPath(entry.path)}`);
  return bytes;
}
