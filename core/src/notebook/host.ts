/** What the kernel offers to the library in its process: displays, pages, questions, and which cell awaits what. */
import { formatWithOptions } from "util";
import { type DisplayOptions, HOST_SYMBOL, type NotebookHost } from "../display/host";
import { type MimeBundle, bundleOf } from "../display/jupyter";
import { type CellError, errorDisplay, isErrorLike } from "./cell-error";
import { plainOf } from "./json";
import type { CellScope, Scopes } from "./scope";
import type { Content, Request } from "./message";
import type { Publisher } from "./publisher";
import type { Questions } from "./questions";

/** A page for the client's pager. */
export interface Page {
  readonly source: "page";
  readonly data: MimeBundle;
  readonly start: 0;
}

export class KernelHost implements NotebookHost {
  /** The request of the cell that is being executed. */
  executing: Request | null = null;
  private pages: Page[] = [];
  /** While the last expression of a cell shows itself: what it shows. */
  private results: MimeBundle[] | null = null;

  constructor(
    private readonly publisher: Publisher,
    private readonly questions: Questions,
    private readonly scopes: Scopes,
    private readonly running: () => CellScope | null,
    private readonly describe: (error: unknown) => CellError,
  ) {}

  /** From now on the library of this process finds it. */
  install(): void {
    Object.defineProperty(globalThis, HOST_SYMBOL, { value: this, configurable: true });
  }

  get runningCell(): number | null {
    return this.running()?.id ?? null;
  }

  awaitingCell(): ReturnType<NotebookHost["awaitingCell"]> {
    return this.scopes.current();
  }

  bundleOf(value: unknown): MimeBundle | null {
    return isErrorLike(value) ? errorDisplay(value, this.describe(value)) : null;
  }

  display(bundle: MimeBundle, { displayId, update = false, printed = false }: DisplayOptions = {}): void {
    if (this.results && displayId === undefined) {
      this.results.push(bundle);
      return;
    }
    if (printed) this.publisher.skipLineEnd();
    this.showDisplay(
      { data: bundle, metadata: {}, transient: displayId === undefined ? {} : { display_id: displayId } },
      update,
    );
  }

  /** As tslab gives it: a display's whole content. */
  showDisplay(content: Content, update: boolean): void {
    this.publisher.publish(update ? "update_display_data" : "display_data", content);
  }

  clearOutput(wait: boolean): void {
    this.publisher.publish("clear_output", { wait });
  }

  page(bundle: MimeBundle): void {
    this.pages.push({ source: "page", data: plainOf(bundle), start: 0 });
  }

  /** Those of the cell that ends. */
  takePages(): readonly Page[] {
    const taken = this.pages;
    this.pages = [];
    return taken;
  }

  readLine(prompt: string, password: boolean): Promise<string> {
    return this.questions.ask(this.executing, prompt, password);
  }

  libraryLoaded(): void {
    this.scopes.follow();
  }

  /** As `console.log` shows it; what it displays by that is the result. What stays alive has a display of its own. */
  resultOf(value: unknown): MimeBundle | null {
    const results: MimeBundle[] = [];
    this.results = results;
    try {
      const bundle = this.shownOf(value, results);
      return bundle && plainOf(bundle);
    } finally {
      this.results = null;
    }
  }

  /** What it did was stopped halfway. */
  threadStopped(): void {
    this.results = null;
  }

  private shownOf(value: unknown, results: readonly MimeBundle[]): MimeBundle | null {
    if (isErrorLike(value)) return bundleOf(value) ?? this.bundleOf(value);
    const text = formatWithOptions({}, value);
    const [shown] = results;
    if (shown) return shown;
    const own = text === "" ? null : bundleOf(value);
    return own ?? (text === "" && typeof value === "object" ? null : { "text/plain": text });
  }
}
