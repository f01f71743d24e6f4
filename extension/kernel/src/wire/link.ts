/** The main thread's end of the thread that talks to Jupyter. */
import {
  type Header,
  type Outgoing,
  type Request,
  type StreamName,
  TextRing,
  type Transport,
  jsonOf,
  streamMessage,
} from "lazycluster/notebook/wire";
import { writeSync } from "fs";
import { join } from "path";
import { Worker } from "worker_threads";
import type { ConnectionInfo } from "./connection-file";
import { CLOSED, type FromWire, type ToWire, type WireData } from "./thread-messages";

/** [bytes] that may wait to leave. A cell that prints faster than that waits, so that memory stays bounded. */
const MAX_BACKLOG = 32 * 1024 * 1024;
/** [ms] that a cell waits at most in one go; nobody may be there to take what it prints. */
const MAX_WAIT_MS = 5000;
/** [ms] that the last messages may take when the kernel ends. */
const CLOSE_MS = 1500;
/** [bytes] of a message beside its content. */
const OVERHEAD = 512;

export interface LinkEvents {
  request(request: Request): void;
  interrupt(): void;
  stopped(): void;
}

export class Link implements Transport {
  private readonly worker: Worker;
  private readonly memory = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
  private readonly backlog = new Int32Array(this.memory);
  private readonly printed = new TextRing();
  /** What is printed belongs there. */
  private stream: { readonly name: StreamName; readonly parent: Header | null } | null = null;
  private events: LinkEvents | null = null;
  /** What came before anybody listened. */
  private early: FromWire[] = [];
  private closed: () => void = () => undefined;

  constructor(connection: ConnectionInfo, state: SharedArrayBuffer, info: WireData["info"]) {
    const workerData: WireData = { connection, state, info, backlog: this.memory, printed: this.printed.memory };
    this.worker = new Worker(join(__dirname, "thread.js"), {
      name: "kernel wire",
      workerData,
      execArgv: [],
      stdout: false,
    });
    this.worker.on("message", (message: FromWire) => this.take(message));
    this.worker.on("error", (error) =>
      fatal(`the thread that talks to Jupyter failed: ${error.stack ?? error.message}`),
    );
  }

  listen(events: LinkEvents): void {
    this.events = events;
    const { early } = this;
    this.early = [];
    for (const message of early) this.take(message);
  }

  /** Throws TypeError for content that is no JSON: here, where it is the error of the code that gave it. */
  send(...given: readonly Outgoing[]): void {
    const messages = given.map((message) => ({ ...message, content: jsonOf(message.content) }));
    const size = messages.reduce((sum, { content }) => sum + OVERHEAD + content.length, 0);
    // Counted when it is on its way: a cell that is stopped in here must not leave a weight that nothing takes away.
    this.post({ type: "send", messages, size, at: this.printed.head });
    if (Atomics.add(this.backlog, 0, size) + size > MAX_BACKLOG) this.untilLess();
  }

  /** The other thread takes it from shared memory: this one may be in a loop in which it sends nothing any more. */
  print(name: StreamName, text: string, parent: Header | null): void {
    if (this.stream?.name !== name || this.stream.parent !== parent) {
      this.post({ type: "stream", name, parent, at: this.printed.head });
      this.stream = { name, parent };
    }
    const rest = this.printed.write(text, (atOnce) => this.post({ type: "printed", atOnce }), MAX_WAIT_MS);
    if (rest !== "") this.send(streamMessage(name, rest, parent));
  }

  /** Resolves when what was sent has left and the sockets are closed; bounded in time. */
  async close(): Promise<void> {
    const done = new Promise<void>((resolve) => (this.closed = resolve));
    this.post({ type: "close" });
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, CLOSE_MS))]);
  }

  /** For a process that ends at once: what was sent before has left, as far as that is possible in bounded time. */
  closeNow(): void {
    this.post({ type: "close" });
    Atomics.wait(this.backlog, CLOSED, 0, CLOSE_MS);
  }

  private untilLess(): void {
    const deadline = performance.now() + MAX_WAIT_MS;
    for (;;) {
      const now = Atomics.load(this.backlog, 0);
      const left = deadline - performance.now();
      if (now <= MAX_BACKLOG || left <= 0) return;
      Atomics.wait(this.backlog, 0, now, left);
    }
  }

  private post(message: ToWire): void {
    this.worker.postMessage(message);
  }

  private take(message: FromWire): void {
    if (message.type === "failed") fatal(`its ports cannot be bound: ${message.message}`);
    if (message.type === "closed") this.closed();
    else if (message.type === "bound") return;
    else if (!this.events) this.early.push(message);
    else if (message.type === "request") this.events.request(message.request);
    else {
      // What was stopped may have printed without saying so.
      if (message.type === "stopped") this.post({ type: "printed", atOnce: true });
      this.events[message.type]();
    }
  }
}

/** On the real stderr: that of the process is shown in the notebook. */
function fatal(message: string): never {
  writeSync(2, `lazycluster kernel: ${message}\n`);
  process.exit(1);
}
