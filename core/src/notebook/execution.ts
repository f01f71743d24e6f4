/** Requests to execute: one cell after the other, what each publishes of itself, and its reply. */
import type { MimeBundle } from "../display/jupyter";
import type { CellError } from "./cell-error";
import type { CellOutcome, CellRunner } from "./cell-runner";
import { ExecutionQueue } from "./execution-queue";
import type { History } from "./history";
import type { KernelHost } from "./host";
import { type Content, type Request, flagOf, textOf } from "./message";
import type { Publisher } from "./publisher";
import type { Questions } from "./questions";
import { Writers } from "./writers";

/** [ms] in which what a client sent together with a cell that failed has arrived. */
const ARRIVAL_MS = 5;

interface Ran extends CellOutcome {
  readonly userExpressions: Content;
}

export class Execution {
  private readonly queue = new ExecutionQueue();
  private readonly writers: Writers;

  constructor(
    private readonly publisher: Publisher,
    private readonly host: KernelHost,
    private readonly questions: Questions,
    private readonly runner: CellRunner,
    private readonly history: History,
    /** Cells that were executed so far. */
    private count: number,
  ) {
    this.writers = new Writers(publisher);
  }

  enqueue(request: Request): void {
    this.queue.add({
      run: (done) => void this.execute(request, done),
      abort: () => {
        this.publisher.status("busy", request.header);
        // Without a count: clients would number a cell that never ran.
        this.publisher.reply(request, "execute_reply", { status: "aborted" });
        this.publisher.status("idle", request.header);
      },
    });
  }

  /** Those that wait are answered so, and not run. */
  abortWaiting(): void {
    for (const cell of this.queue.takeWaiting()) cell.abort();
  }

  /**
   * Nothing is awaited once what the cell left may run again, for that may be stopped, and then whatever is due behind it
   * in the same turn of the event loop is lost.
   */
  private async execute(request: Request, done: () => void): Promise<void> {
    const { content, header } = request;
    const code = textOf(content, "code");
    const silent = flagOf(content, "silent", false);
    const stored = !silent && flagOf(content, "store_history", true);
    this.publisher.parent = header;
    this.host.executing = request;
    this.host.takePages();
    this.writers.install();
    if (stored) {
      this.count += 1;
      this.history.add(this.count, code);
    }
    this.publisher.together(() => {
      this.publisher.status("busy", header);
      if (!silent) this.publisher.publish("execute_input", { code, execution_count: this.count });
    });
    const { error: thrown, result, userExpressions } = await this.run(code, stored, content["user_expressions"]);
    const error =
      thrown ?? this.conclude(request, () => this.tellResult(request, silent ? null : result, userExpressions));
    const stops = error !== null && !silent && flagOf(content, "stop_on_error", true);
    if (stops) await new Promise((resolve) => setTimeout(resolve, ARRIVAL_MS));
    const behind = stops ? this.queue.takeWaiting() : [];
    if (error) this.conclude(request, () => this.tellError(request, silent, error));
    for (const cell of behind) cell.abort();
    done();
  }

  private async run(code: string, stored: boolean, expressions: unknown): Promise<Ran> {
    const nothing = { error: null, result: null, userExpressions: {} };
    try {
      const outcome = code.trim() === "" ? nothing : await this.runner.run(code, stored ? this.count : undefined);
      return { ...outcome, userExpressions: outcome.error ? {} : await this.evaluate(expressions) };
    } catch (error) {
      return { ...nothing, error: this.runner.describe(error) };
    }
  }

  /** A cell's last messages. What cannot be sent, such as a result that is no JSON, is an error of the cell. */
  private conclude(request: Request, tell: () => void): CellError | null {
    this.host.executing = null;
    this.questions.cancel("ended");
    try {
      this.publisher.together(() => {
        tell();
        this.publisher.status("idle", request.header);
      });
      return null;
    } catch (error) {
      return this.runner.describe(error);
    }
  }

  private tellResult(request: Request, result: MimeBundle | null, userExpressions: Content): void {
    if (result) {
      this.history.setOutput(result["text/plain"]);
      this.publisher.publish("execute_result", { execution_count: this.count, data: result, metadata: {} });
    }
    const payload = this.host.takePages();
    const reply = { status: "ok", execution_count: this.count, user_expressions: userExpressions, payload };
    this.publisher.reply(request, "execute_reply", reply);
  }

  private tellError(request: Request, silent: boolean, error: CellError): void {
    if (!silent) this.publisher.publish("error", { ...error });
    this.publisher.reply(request, "execute_reply", { status: "error", execution_count: this.count, ...error });
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
}
