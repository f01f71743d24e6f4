/** A local file or folder on its way to a host. */
import { setMaxListeners } from "events";
import type { FileHandle } from "fs/promises";
import { EngineFailure } from "../../engine/protocol";
import { type Encodable, type Frame, type Header, WireError } from "../../wire";
import type { AgentClient } from "../agent/client";
import { EMPTY, type TransferResult } from "./entry";
import { type Exchange, exchange } from "./exchange";
import { hashFile } from "./hash";
import { Lanes } from "./lanes";
import { openFile } from "./open";
import { keyForHost } from "./partials";
import { type Plan, type Planned, scan } from "./plan";
import { APART, rangesToGo, sendRanges } from "./ranges";
import { Counter, type TransferRequest, isInterruption } from "./request";
import { Slices } from "./slices";
import { TreeWriter } from "./writer";

export interface SendRequest extends TransferRequest {
  readonly localPath: string;
  /** Null: the file's own name in `cwd`. */
  readonly remotePath: string | null;
}

const HERE = Buffer.from("./");

/** Rejects EngineFailure; then nothing of it is on the host. */
export async function sendTree(agent: AgentClient, request: SendRequest): Promise<TransferResult> {
  const { localPath, signal } = request;
  try {
    const slices = new Slices(agent.host, signal);
    const plan = await scan(localPath, slices, { leaving: false, ignoring: true });
    const isFile = plan.entries[0]?.kind === "file";
    const name = Buffer.from(localPath.replace(/\/+$/, "").replace(/^.*\//, ""), "utf8");
    // A file that is called `~` is not the home directory.
    const path = request.remotePath ?? Buffer.concat([HERE, name]);
    const into = request.remotePath !== null && (isFile || request.remotePath.endsWith("/"));
    return await sendPlan(agent, plan, { path, cwd: request.cwd, into, name }, request);
  } catch (error) {
    throw error instanceof EngineFailure ? error : localFailure(agent.host, localPath, error);
  }
}

/** Rejects EngineFailure, or Error for what went wrong here; then the target is as it was. */
export async function sendPlan(
  agent: AgentClient,
  plan: Plan,
  put: Readonly<Record<string, Encodable>>,
  request: TransferRequest,
): Promise<TransferResult> {
  const sender = new TreeSender(agent, plan, put, request);
  const path = await sender.run();
  return { path, bytes: plan.bytes, entries: sender.entries, notes: plan.notes };
}

class TreeSender {
  entries = 0;
  private readonly put: Exchange;
  private readonly writer: TreeWriter;
  private readonly lanes: Lanes;
  private readonly count: Counter;
  private readonly slices: Slices;
  /** Ends the ranges when the whole has ended. */
  private readonly stop = new AbortController();
  private readonly parts: Promise<void>[] = [];
  /** The agent's answers to files that go apart, by their number. */
  private readonly places: ((place: Header) => void)[] = [];
  private readonly sums: { readonly path: Buffer; readonly sum: Promise<Buffer[]> }[] = [];
  private broken: unknown = null;

  constructor(
    private readonly agent: AgentClient,
    private readonly plan: Plan,
    put: Readonly<Record<string, Encodable>>,
    private readonly request: TransferRequest,
  ) {
    this.count = new Counter(request.progress, plan.bytes, plan.files);
    this.slices = new Slices(agent.host, request.signal);
    this.lanes = new Lanes(agent, request.openLane ?? null);
    // Every range listens to it.
    setMaxListeners(0, this.stop.signal);
    const { resume } = request;
    const fields = resume ? { ...put, resume: keyForHost(resume, agent.host) } : put;
    this.put = exchange(agent, "put", fields, request.signal, ({ header }: Frame) => this.onMessage(header));
    this.writer = new TreeWriter(this.put.operation);
  }

  async run(): Promise<string> {
    const { operation, done } = this.put;
    // The agent may refuse while we still send; then sending ends early and `done` says why.
    const onEnd = (): void => this.stop.abort(new Error("the transfer has ended"));
    done.then(onEnd, onEnd);
    try {
      await this.send();
      return (await done).bytes("path").toString("utf8");
    } catch (error) {
      const early = operation.ended;
      this.stop.abort(new Error("the transfer has ended"));
      await Promise.allSettled(this.parts);
      if (!early) {
        operation.post("abort", { message: String(error), keep: isInterruption(error) });
        await done.catch(() => undefined);
      } else await done;
      throw error;
    } finally {
      await this.lanes.close();
    }
  }

  private async send(): Promise<void> {
    for (const entry of this.plan.entries) {
      if (this.put.operation.ended || this.broken !== null) break;
      await this.sendEntry(entry);
      if (this.slices.over) await this.slices.pause();
    }
    await this.writer.flush();
    await Promise.all(this.parts);
    for (const { path, sum } of this.sums) await this.sendSum(path, await sum);
    await this.writer.flush();
    this.put.operation.post("end", { bytes: this.plan.bytes, entries: this.entries });
  }

  private async sendEntry(entry: Planned): Promise<void> {
    if (entry.kind !== "touch" && entry.kind !== "gone") this.entries += 1;
    if (entry.kind !== "file") {
      await this.writer.record(entry);
      return;
    }
    if (entry.size >= APART) {
      await this.writer.record({ ...entry, kind: "apart", extra: EMPTY });
      await this.writer.flush();
      this.startPart(entry);
    } else {
      await this.writer.record(entry);
      await this.writer.content(entry, this.count.passed);
      this.count.file();
    }
    if (this.request.verify !== true) return;
    const sum = hashFile(entry.source, 0);
    sum.catch(() => undefined);
    if (entry.size >= APART) this.sums.push({ path: entry.path, sum });
    else await this.sendSum(entry.path, await sum);
  }

  private async sendSum(path: Buffer, [sum]: Buffer[]): Promise<void> {
    const fields = { kind: "sum", mode: 0, mtime: 0n, size: 0, path, extra: sum ?? EMPTY } as const;
    await this.writer.record(fields);
  }

  private startPart(entry: Planned): void {
    const place = new Promise<Header>((resolve) => this.places.push(resolve));
    const part = this.sendPart(entry, place);
    part.catch((error: unknown) => (this.broken ??= error));
    this.parts.push(part);
  }

  private async sendPart(entry: Planned, placed: Promise<Header>): Promise<void> {
    const { signal } = this.stop;
    const place = await Promise.race([placed, this.put.done]);
    if (place.op !== "part") throw new WireError("an end before its time");
    const target = place.bytes("path");
    const kept = place.integer("kept");
    const ranges = await rangesToGo(this.agent, entry.size, kept, entry.source, target, signal);
    const toGo = ranges.reduce((sum, { size }) => sum + size, 0);
    this.count.passed(entry.size - toGo);
    await this.lanes.widen(toGo);
    const file: FileHandle = await openFile(entry.source);
    try {
      await sendRanges(this.lanes, file, entry, target, ranges, signal, this.count.passed);
    } finally {
      await file.close();
    }
    this.count.file();
  }

  private onMessage(header: Header): void {
    if (header.op !== "part") return;
    this.places[header.integer("number")]?.(header);
  }
}

export function localFailure(host: string, path: string, error: unknown): EngineFailure {
  const reason = error instanceof Error ? error.message : String(error);
  return new EngineFailure(
    { code: "ERR_OTHER", host, path, message: `${host}: ${JSON.stringify(path)} could not be sent: ${reason}.` },
    error,
  );
}
