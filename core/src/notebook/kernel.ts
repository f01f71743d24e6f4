/** The kernel as Jupyter sees it: what becomes of each message. Whatever carries the messages is outside. */
import { Answers } from "./answers";
import { CellGlobal } from "./cell-global";
import { CellRunner } from "./cell-runner";
import { showChildren } from "./children";
import { Execution } from "./execution";
import type { TslabParts } from "./executor-parts";
import { History } from "./history";
import { KernelHost } from "./host";
import { prepareToBeStopped } from "./interrupt/prepare";
import type { ThreadState } from "./interrupt/thread-state";
import type { Magics } from "./magics";
import { type Content, type Request, type Transport, flagOf, textOf } from "./message";
import { Publisher } from "./publisher";
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

export class Kernel {
  readonly runner: CellRunner;
  private readonly publisher: Publisher;
  private readonly questions: Questions;
  private readonly host: KernelHost;
  private readonly execution: Execution;
  private readonly answers: Answers;

  constructor(private readonly parts: KernelParts) {
    const { tslab, state, magics } = parts;
    const scopes = new Scopes();
    const history = new History();
    const publisher = new Publisher(parts.transport);
    this.publisher = publisher;
    this.questions = new Questions((request, content, id) =>
      publisher.send(request, "stdin", "input_request", content, id),
    );
    this.host = new KernelHost(
      publisher,
      this.questions,
      scopes,
      () => this.runner.current,
      (error) => this.runner.describe(error),
    );
    this.runner = new CellRunner(tslab, state, scopes, (value) => this.host.resultOf(value));
    this.execution = new Execution(publisher, this.host, this.questions, this.runner, history, parts.count ?? 0);
    this.answers = new Answers(this.runner, tslab, magics, history);
    prepareToBeStopped(state);
    showChildren();
    new CellGlobal(scopes, magics, this.host).install();
    this.host.install();
  }

  /** The cell that is being executed; null when none is. */
  get runningCell(): number | null {
    return this.host.runningCell;
  }

  /** As tslab gives it: a display's whole content. */
  showDisplay(content: Content, update: boolean): void {
    this.host.showDisplay(content, update);
  }

  /** Resolves when the request is answered. Never rejects. */
  async handle(request: Request): Promise<void> {
    const type = request.header.msg_type;
    if (type === "execute_request") {
      this.execution.enqueue(request);
      return;
    }
    if (type === "input_reply") {
      this.questions.answer(textOf(request.content, "value"), request.parent.msg_id);
      return;
    }
    this.publisher.status("busy", request.header);
    try {
      await this.answer(type, request);
    } catch (error) {
      this.report(error);
    } finally {
      this.publisher.status("idle", request.header);
      // Clients keep one indicator for the kernel, and a cell may still run.
      const { executing } = this.host;
      if (executing) this.publisher.status("busy", executing.header);
    }
  }

  /** Ends what the running cell does; those that wait behind it are not run. */
  interrupt(): void {
    this.parts.state.hear();
    this.execution.abortWaiting();
    this.questions.cancel("interrupted");
    this.runner.interrupt();
  }

  /** What ran was stopped by another thread. */
  stopped(): void {
    this.parts.state.hear();
    this.host.threadStopped();
    this.questions.cancel("interrupted");
    this.execution.abortWaiting();
    this.runner.threadStopped();
  }

  /** Tells what went wrong outside every cell, on stderr. */
  report(error: unknown): void {
    const { traceback } = this.runner.describe(error);
    this.publisher.print("stderr", `${traceback.join("\n")}\n`);
  }

  private async answer(type: string, request: Request): Promise<void> {
    switch (type) {
      case "comm_open":
        // There is nothing here that a client could talk to; this is how the protocol says so.
        this.publisher.publish("comm_close", { comm_id: request.content["comm_id"] ?? "", data: {} }, request.header);
        return;
      case "comm_msg":
      case "comm_close":
        return;
      case "interrupt_request":
        this.interrupt();
        this.publisher.reply(request, "interrupt_reply", { status: "ok" });
        return;
      case "shutdown_request":
        this.shutdown(request);
        return;
      default:
        await this.answerQuestion(type, request);
    }
  }

  private async answerQuestion(type: string, request: Request): Promise<void> {
    const content = await this.answers.to(request);
    if (content) this.publisher.reply(request, type.replace(/_request$/, "_reply"), content);
    else this.report(new Error(`This kernel knows no request ${JSON.stringify(type)}.`));
  }

  private shutdown(request: Request): void {
    this.execution.abortWaiting();
    this.runner.interrupt();
    const content = { status: "ok", restart: flagOf(request.content, "restart", false) };
    this.publisher.reply(request, "shutdown_reply", content);
    this.parts.exit();
  }
}
