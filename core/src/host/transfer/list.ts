/** What is in a folder: here, and on a host, whose answer is not trusted. */
import { WireError } from "../../wire";
import type { AgentClient } from "../agent/client";
import { type TreeEntry, TreeCheck } from "./entry";
import { receive } from "./exchange";
import { RecordDecoder } from "./records";
import type { Slices } from "./slices";

export interface HostListing {
  /** Folders before what is in them; empty: there is nothing. */
  readonly entries: Map<string, TreeEntry>;
  readonly notes: readonly string[];
}

/** @param leaving links may lead anywhere, for nothing of them is followed or fetched. */
export async function listHost(
  agent: AgentClient,
  place: { readonly path: Buffer | string; readonly cwd: string },
  leaving: boolean,
  signal: AbortSignal,
  slices: Slices,
): Promise<HostListing> {
  const check = new TreeCheck(leaving);
  const decoder = new RecordDecoder();
  const entries = new Map<string, TreeEntry>();
  const end = await receive(agent, "list", { ...place, leaving }, signal, async (pieces) => {
    for (const piece of pieces) {
      for (const found of decoder.push(piece)) {
        if (Buffer.isBuffer(found) || found.kind === "file") throw new WireError("content in a listing");
        entries.set(check.accept(found), found.kind === "apart" ? { ...found, kind: "file" } : found);
        if (slices.over) await slices.pause();
      }
    }
  });
  if (!decoder.whole || end.integer("entries") !== entries.size) throw new WireError("a listing that is not whole");
  const root = entries.get("");
  if (root && root.kind !== "dir") throw new WireError("a listing of a file");
  return { entries, notes: end.textList("notes") };
}
