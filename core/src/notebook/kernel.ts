/** The kernel as Jupyter sees it: each request, and what is answered and published. Whatever carries the messages is outside. */
import { type DisplayOptions, HOST_SYMBOL, type NotebookHost } from "../display/host";
import { formatWithOptions } from "util";
import { type MimeBundle, bundleOf } from "../display/jupyter";
import { CellGlobal } from "./cell-global";
import type { CellError } from "./cell-error";
import { type CellOutcome, CellRunner } from "./cell-runner";
import { completeness } from "./completeness";
import { ExecutionQueue, type QueuedCell } from "./execution-queue";
import type { TslabParts } from "./executor-parts";
import { History } from "./history";
import { Inspector } from "./inspector";
import { prepareToBeStopped } from "./interrupt/prepare";
import type { ThreadState } from "./interrupt/thread-state";
import { kernelInfo } from "./kernel-info";
import type { Magics } from "./magics";
import {
  type Content,
  type Header,
  type Outgoing,
  type Request,
  type Transport,
  flagOf,
  numberOf,
  textOf,
} from "./message";
import { Output, type StreamName } from "./output";
import { Questions } from "./questions";
import { Scopes } from "./scope";

export interface KernelParts {
  readonly transport: Transport;
  readonly tslab: TslabParts;
  readonly state: ThreadState;
  readonly magics: Magics;
  /** Cells that were executed before; default: none. */
  readonly count?: number;
  /** Ends the process, when the answer to a shutdown is on its way. */
  exit(): void;
}

/** [ms] in which what a client sent together with a cell that failed has arrived. */
const ARRIVAL_MS = 5;

/** A page for the client's pager. */
interface Payload {
  readonly source: "page";
  readonly data: MimeBundle;
  readonly start: 0;
}

export class Kernel implements NotebookHost {
  readonly runner: CellRunner;
  private readonly scopes = new Scopes();
  private readonly history = new History();
  private readonly queue = new ExecutionQueue();
  private readonly output = new Output((name, text) => this.publish("stream", { name, text }));
  private readonly questions: Questions;
  private readonly inspector: Inspector;
  private count: number;
  private readonly writers = { stdout: this.writer("stdout"), stderr: this.writer("stderr") };
  /** Of the latest cell: what code prints after its cell ended is shown there. */
  private parent: Header | null = null;
  /** The request of the cell that is being executed. */
  private executing: Request | null = null;
  private payloads: Payload[] = [];
  /** While the last expression of a cell shows itself: what it shows. */
  private results: MimeBundle[] | null = null;

  constructor(private readonly parts: KernelParts) {
    this.runner = new CellRunner(parts.tslab, parts.state, (value) => this.resultOf(value));
    this.inspector = new Inspector(this.runner, parts.magics, parts.tslab);
    this.questions = new Questions((request, content) => this.send(request, "stdin", "input_request", content));
    prepareToBeStopped();
    const cells = new CellGlobal(this.scopes, this.runner, parts.magics, this);
    cells.install();
    Object.defineProperty(globalThis, HOST_SYMBOL, { value: this, configurable: true });
    this.count = parts.count ?? 0;
  }

  /** Resolves when the request is answered. Never rejects. */
  async handle(request: Request): Promise<void> {
    const type = request.header.msg_type;
    if (type === "execute_request") {
      this.enqueue(request);
      return;
    }
    if (type === "input_reply") {
      this.questions.answer(textOf(request.content, "value"));
      return;
    }
    this.status("busy", request.header);
    try {
      await this.answer(type, request);
    } catch (error) {
      this.report(error);
    } finally {
      this.status("idle", request.header);
      // Clients keep one indicator for the kernel, and a cell may still run.
      if (this.executing) this.status("busy", this.executing.header);
    }
  }

  /** Ends what the running cell does; those that wait behind it are not run. */
  interrupt(): void {
    this.parts.state.hear();
    abortAll(this.queue.takeWaiting());
    this.questions.cancel();
    this.runner.interrupt();
  }

  /** What ran was stopped by another thread. */
  stopped(): void {
    this.parts.state.reset();
    this.parts.state.hear();
    this.questions.cancel();
    abortAll(this.queue.takeWaiting());
    this.runner.threadStopped();
  }

  /** Tells what went wrong outside every cell, on stderr. */
  report(error: unknown): void {
    const { traceback } = this.runner.describe(error);
    this.output.write("stderr", `${traceback.join("\n")}\n`);
  }

  // -------------------------------------------------------------------------------------------------------- NotebookHost

  get runningCell(): number | null {
    return this.runner.current?.id ?? null;
  }

  awaitingCell(): ReturnType<NotebookHost["awaitingCell"]> {
    return this.scopes.current();
  }

  display(bundle: MimeBundle, { displayId, update = false }: DisplayOptions = {}): void {
    if (this.results && displayId === undefined) {
      this.results.push(bundle);
      return;
    }
    this.showDisplay(
      { data: bundle, metadata: {}, transient: displayId === undefined ? {} : { display_id: displayId } },
      update,
    );
  }

  /** As tslab gives it: a display's whole content. */
  showDisplay(content: Content, update: boolean): void {
    this.publishAfterOutput(update ? "update_display_data" : "display_data", content);
  }

  clearOutput(wait: boolean): void {
    this.publishAfterOutput("clear_output", { wait });
  }

  page(bundle: MimeBundle): void {
    this.payloads.push({ source: "page", data: bundle, start: 0 });
  }

  readLine(prompt: string, password: boolean): Promise<string> {
    this.output.flush();
    return this.questions.ask(this.executing, prompt, password);
  }

  libraryLoaded(): void {
    this.scopes.follow();
  }

  /** As `console.log` shows it; what it displays by that is the result. What stays alive has a display of its own. */
  private resultOf(value: unknown): MimeBundle | null {
    const results: MimeBundle[] = [];
    this.results = results;
    try {
      const text = formatWithOptions({}, value);
      const [shown] = results;
      if (shown) return shown;
      const own = text === "" ? null : bundleOf(value);
      return own ?? (text === "" && typeof value === "object" ? null : { "text/plain": text });
    } finally {
      this.results = null;
    }
  }

  // ------------------------------------------------------------------------------------------------------------ requests

  private async answer(type: string, request: Request): Promise<void> {
    const { content } = request;
    switch (type) {
      case "kernel_info_request":
        this.reply(request, "kernel_info_reply", kernelInfo(this.parts.tslab.typescript.version));
        return;
      case "complete_request":
        this.reply(
          request,
          "complete_reply",
          await this.inspector.complete(textOf(content, "code"), numberOf(content, "cursor_pos")),
        );
        return;
      case "inspect_request":
        this.reply(
          request,
          "inspect_reply",
          await this.inspector.inspect(textOf(content, "code"), numberOf(content, "cursor_pos")),
        );
        return;
      case "is_complete_request":
        this.reply(request, "is_complete_reply", this.isComplete(textOf(content, "code")));
        return;
      case "history_request":
        this.reply(request, "history_reply", this.history.find(content));
        return;
      case "comm_info_request":
        this.reply(request, "comm_info_reply", { status: "ok", comms: {} });
        return;
      case "comm_open":
        // There is nothing here that a client could talk to; this is how the protocol says so.
        this.publish("comm_close", { comm_id: content["comm_id"] ?? "", data: {} }, request.header);
        return;
      case "comm_msg":
      case "comm_close":
        return;
      case "interrupt_request":
        this.interrupt();
        this.reply(request, "interrupt_reply", { status: "ok" });
        return;
      case "shutdown_request":
        this.shutdown(request);
        return;
      default:
        this.report(new Error(`This kernel knows no request ${JSON.stringify(type)}.`));
    }
  }

  private isComplete(code: string): Content {
    const { compiler } = this.runner;
    // A cell of another language ends where the user ends it: with an empty line.
    if (/^\s*%%/.test(code)) return /\n\s*$/.test(code) ? { status: "complete" } : { status: "incomplete", indent: "" };
    return completeness(this.parts.tslab.typescript, compiler.readable(code));
  }

  private shutdown(request: Request): void {
    abortAll(this.queue.takeWaiting());
    this.runner.interrupt();
    this.output.flush();
    const content = { status: "ok", restart: flagOf(request.content, "restart", false) };
    this.reply(request, "shutdown_reply", content);
    this.parts.exit();
  }

  private enqueue(request: Request): void {
    this.queue.add({
      run: () => this.execute(request),
      abort: () => {
        this.status("busy", request.header);
        this.reply(request, "execute_reply", {
          status: "aborted",
          execution_count: this.count,
          user_expressions: {},
          payload: [],
        });
        this.status("idle", request.header);
      },
    });
  }

  private async execute(request: Request): Promise<void> {
    const { content, header } = request;
    const code = textOf(content, "code");
    const silent = flagOf(content, "silent", false);
    const stored = !silent && flagOf(content, "store_history", true);
    this.output.begin();
    this.parent = header;
    this.executing = request;
    process.stdout.write = this.writers.stdout;
    process.stderr.write = this.writers.stderr;
    this.payloads = [];
    this.status("busy", header);
    if (stored) {
      this.count += 1;
      this.history.add(this.count, code);
    }
    if (!silent) this.publish("execute_input", { code, execution_count: this.count });
    const outcome: CellOutcome =
      code.trim() === "" ? { error: null, result: null } : await this.runner.run(code, stored ? this.count : undefined);
    const userExpressions = outcome.error ? {} : await this.evaluate(content["user_expressions"]);
    const stops = outcome.error !== null && !silent && flagOf(content, "stop_on_error", true);
    if (stops) await new Promise((resolve) => setTimeout(resolve, ARRIVAL_MS));
    const behind = stops ? this.queue.takeWaiting() : [];
    this.output.flush();
    if (!silent) this.publishOutcome(outcome);
    this.reply(request, "execute_reply", this.executeReply(outcome.error, userExpressions));
    this.executing = null;
    this.status("idle", header);
    abortAll(behind);
  }

  private executeReply(error: CellError | null, userExpressions: Content): Content {
    if (error) return { status: "error", execution_count: this.count, ...error };
    return { status: "ok", execution_count: this.count, user_expressions: userExpressions, payload: this.payloads };
  }

  private publishOutcome({ error, result }: CellOutcome): void {
    if (error) {
      this.publish("error", { ...error });
      return;
    }
    if (!result) return;
    this.history.setOutput(result["text/plain"]);
    this.publish("execute_result", { execution_count: this.count, data: result, metadata: {} });
  }

  /** Each expression that a client wants to know the value of, after the cell. */
  private async evaluate(expressions: unknown): Promise<Content> {
    const values: Record<string, unknown> = {};
    if (typeof expressions !== "object" || expressions === null) return values;
    for (const [name, expression] of Object.entries(expressions)) {
      const { error, result } = await this.runner.run(String(expression));
      values[name] = error
        ? { status: "error", ...error }
        : { status: "ok", data: result ?? { "text/plain": "undefined" }, metadata: {} };
    }
    return values;
  }

  // ------------------------------------------------------------------------------------------------------------ messages

  private writer(name: StreamName): typeof process.stdout.write {
    return (data: string | Uint8Array, encoding?: unknown, done?: unknown) => {
      const text =
        typeof data === "string" && typeof encoding === "string" && !/^utf-?8$/i.test(encoding)
          ? Buffer.from(data, encoding as BufferEncoding)
          : data;
      this.output.write(name, text);
      const callback = typeof encoding === "function" ? encoding : done;
      if (typeof callback === "function") queueMicrotask(callback as () => void);
      return true;
    };
  }

  private publishAfterOutput(type: string, content: Content): void {
    this.output.flush();
    this.publish(type, content);
  }

  private status(state: "busy" | "idle", parent: Header): void {
    this.publish("status", { execution_state: state }, parent);
  }

  private publish(type: string, content: Content, parent = this.parent): void {
    this.transmit({ channel: "iopub", identities: [], type, parent, content });
  }

  private reply(request: Request, type: string, content: Content): void {
    this.send(request, request.channel, type, content);
  }

  private send(request: Request, channel: Request["channel"], type: string, content: Content): void {
    this.transmit({ channel, identities: request.identities, type, parent: request.header, content });
  }

  private transmit(message: Outgoing): void {
    this.parts.transport.send(message);
  }
}

function abortAll(cells: readonly QueuedCell[]): void {
  for (const cell of cells) cell.abort();
}
