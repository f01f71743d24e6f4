/** A local file or folder on its way to a host. */
import { type BigIntStats, constants } from "fs";
import { type FileHandle, lstat, open, readdir, readlink, realpath, stat } from "fs/promises";
import { EngineFailure } from "../engine/protocol";
import { CHUNK } from "../wire";
import type { AgentClient } from "./agent-client";
import { agentFailure } from "./agent-error";
import type { Operation } from "./operation";
import { type Progress, type TransferResult, showPath, staysInside } from "./tree";

export interface SendRequest {
  readonly localPath: string;
  /** Null: the file's own name in `cwd`. */
  readonly remotePath: string | null;
  readonly cwd: string;
  readonly progress: (progress: Progress) => void;
  readonly signal: AbortSignal;
}

/** What is sent: one file of the tree with where to read it. */
interface Planned {
  readonly path: readonly Buffer[];
  readonly kind: "file" | "dir" | "link";
  readonly stats: BigIntStats;
  readonly source: Buffer;
  readonly target: Buffer;
}
interface Plan {
  readonly entries: Planned[];
  readonly notes: string[];
  readonly bytes: number;
  readonly files: number;
}

const SEPARATOR = Buffer.from("/");
const HERE = Buffer.from("./");
const NOTHING = Buffer.alloc(0);

/** Rejects EngineFailure; then nothing of it is on the host. */
export async function sendTree(agent: AgentClient, request: SendRequest): Promise<TransferResult> {
  const plan = await makePlan(request.localPath, agent.host, request.signal);
  const isFile = plan.entries[0]?.kind === "file";
  const name = Buffer.from(request.localPath.replace(/\/+$/, "").replace(/^.*\//, ""), "utf8");
  // A file that is called `~` is not the home directory.
  const remotePath = request.remotePath ?? Buffer.concat([HERE, name]);
  const intoFolder = request.remotePath !== null && (isFile || request.remotePath.endsWith("/"));
  let operation: Operation | undefined;
  const done = new Promise<TransferResult>((resolve, reject) => {
    operation = agent.open(
      "put",
      { path: remotePath, cwd: request.cwd, into: intoFolder, name },
      {
        message: () => undefined,
        ended: (outcome) => {
          if (outcome instanceof EngineFailure) reject(outcome);
          else if (outcome.header.op !== "done") reject(agentFailure(agent.host, outcome.header));
          else {
            const path = outcome.header.bytes("path").toString("utf8");
            resolve({ path, bytes: plan.bytes, entries: plan.entries.length, notes: plan.notes });
          }
        },
      },
    );
  });
  // The agent may refuse while we still send; then sending ends early and `done` says why.
  done.catch(() => undefined);
  const cancel = (): void => operation?.cancel();
  request.signal.addEventListener("abort", cancel);
  try {
    if (request.signal.aborted) cancel();
    if (operation) await sendPlan(operation, plan, request);
    return await done;
  } catch (error) {
    if (operation && !operation.ended) {
      operation.post("abort", { message: String(error) });
      await done.catch(() => undefined);
    }
    throw error instanceof EngineFailure ? error : localFailure(agent.host, request.localPath, error);
  } finally {
    request.signal.removeEventListener("abort", cancel);
  }
}

async function sendPlan(operation: Operation, plan: Plan, request: SendRequest): Promise<void> {
  let bytes = 0;
  let files = 0;
  const report = (): void => request.progress({ bytes, totalBytes: plan.bytes, files, totalFiles: plan.files });
  for (const entry of plan.entries) {
    if (operation.ended) return;
    const size = entry.kind === "file" ? Number(entry.stats.size) : 0;
    const fields = {
      path: entry.path,
      kind: entry.kind,
      mode: Number(entry.stats.mode & 0o777n),
      mtime: entry.stats.mtimeNs,
      ...(entry.kind === "file" ? { size } : {}),
      ...(entry.kind === "link" ? { target: entry.target } : {}),
    };
    if (entry.kind !== "file" || size === 0) {
      await operation.send("entry", fields);
    } else {
      const file = await open(entry.source, constants.O_RDONLY);
      try {
        await operation.send("entry", fields);
        await sendContent(operation, file, size, entry, (count) => {
          bytes += count;
          report();
        });
      } finally {
        await file.close();
      }
    }
    if (entry.kind === "file") files += 1;
    report();
  }
  operation.post("end", { bytes, entries: plan.entries.length, notes: plan.notes });
}

async function sendContent(
  operation: Operation,
  file: FileHandle,
  size: number,
  entry: Planned,
  sent: (bytes: number) => void,
): Promise<void> {
  let left = size;
  while (left > 0) {
    const chunk = Buffer.allocUnsafe(Math.min(left, CHUNK));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
    if (bytesRead === 0) {
      throw new Error(`${entry.source.toString("utf8")} became shorter while it was sent: send it again when it rests`);
    }
    if (!(await operation.send("data", {}, chunk.subarray(0, bytesRead)))) return;
    left -= bytesRead;
    sent(bytesRead);
  }
}

/** Looks at everything first: the totals are known, and what cannot be sent is found before anything was. */
async function makePlan(localPath: string, host: string, signal: AbortSignal): Promise<Plan> {
  const entries: Planned[] = [];
  const notes: string[] = [];
  let bytes = 0;
  let files = 0;
  const add = (entry: Planned): void => {
    entries.push(entry);
    if (entry.kind !== "file") return;
    bytes += Number(entry.stats.size);
    files += 1;
  };
  const visit = async (source: Buffer, path: readonly Buffer[]): Promise<void> => {
    if (signal.aborted) throw new EngineFailure({ code: "ERR_CANCELLED", host, message: `${host}: cancelled` });
    const stats = await lstat(source, { bigint: true });
    if (stats.isSymbolicLink()) {
      const target = await readlink(source, { encoding: "buffer" });
      if (staysInside(path.length - 1, target)) add({ path, kind: "link", stats, source, target });
      else await follow(source, path);
    } else if (stats.isDirectory()) {
      add({ path, kind: "dir", stats, source, target: NOTHING });
      const names = await readdir(source, { encoding: "buffer" });
      names.sort((a, b) => a.compare(b));
      for (const name of names) await visit(Buffer.concat([source, SEPARATOR, name]), [...path, name]);
    } else if (stats.isFile()) {
      add({ path, kind: "file", stats, source, target: NOTHING });
    } else {
      notes.push(`${showPath(path)} was left out: it is neither file, folder nor link`);
    }
  };
  const follow = async (source: Buffer, path: readonly Buffer[]): Promise<void> => {
    const stats = await stat(source, { bigint: true }).catch(() => null);
    if (stats?.isFile()) add({ path, kind: "file", stats, source, target: NOTHING });
    else if (stats === null) notes.push(`${showPath(path)} was left out: a link that leads nowhere`);
    else
      throw new Error(
        `the link ${source.toString("utf8")} leads to a folder outside of what is sent: send that folder itself`,
      );
  };
  try {
    const root = Buffer.from(await realpath(localPath), "utf8");
    const stats = await stat(root, { bigint: true });
    if (!stats.isFile() && !stats.isDirectory()) throw new Error("it is neither a file nor a folder");
    await visit(root, []);
  } catch (error) {
    throw error instanceof EngineFailure ? error : localFailure(host, localPath, error);
  }
  return { entries, notes, bytes, files };
}

function localFailure(host: string, path: string, error: unknown): EngineFailure {
  const reason = error instanceof Error ? error.message : String(error);
  return new EngineFailure(
    { code: "ERR_OTHER", host, path, message: `${host}: ${JSON.stringify(path)} could not be sent: ${reason}.` },
    error,
  );
}
