/** A notebook as people see and use it; the same in JupyterLab and Notebook 7. */
import type { Locator, Page } from "playwright-core";

export class NotebookPage {
  /** @param panel with the toolbar and the cells */
  private constructor(
    readonly page: Page,
    private readonly panel: Locator,
  ) {}

  /** @param place where notebooks are opened, with the token */
  static async open(page: Page, place: string, file: string): Promise<NotebookPage> {
    const url = new URL(place);
    url.pathname += `/${file}`;
    // JupyterLab forgets what former tests had opened.
    url.searchParams.set("reset", "");
    const connected = page.waitForEvent("websocket", (socket) => socket.url().includes("/channels"));
    await page.goto(url.href);
    // Until the kernel has answered, cells are not run at all.
    await (await connected).waitForEvent("framereceived");
    const opened = new NotebookPage(page, page.locator(".jp-NotebookPanel:visible"));
    await opened.idle();
    return opened;
  }

  /** The kernel is there and runs nothing. */
  async idle(): Promise<void> {
    await this.panel.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').waitFor();
  }

  cell(index: number): Locator {
    return this.panel.locator(`.jp-Cell[data-windowed-list-index="${index}"]`);
  }

  /** The outputs of a cell, from top to bottom. */
  outputs(index: number): Locator {
    return this.cell(index).locator(".jp-OutputArea-output");
  }

  async texts(index: number): Promise<string[]> {
    return (await this.outputs(index).allInnerTexts()).map((text) => text.trim());
  }

  /** What MathJax has made of text in the outputs of a cell. */
  formulas(index: number): Locator {
    return this.outputs(index).locator("mjx-container");
  }

  /** Waits until a cell shows the text. */
  async shows(index: number, text: string | RegExp): Promise<void> {
    await this.outputs(index).filter({ hasText: text }).first().waitFor();
  }

  /** Waits until a cell has run; it has a number then. */
  async ran(index: number): Promise<void> {
    await this.cell(index)
      .locator(".jp-InputPrompt", { hasText: /^\[\d+\]:$/ })
      .waitFor();
  }

  /** Waits until the cell is being run. */
  async runs(index: number): Promise<void> {
    await this.cell(index).locator(".jp-InputPrompt", { hasText: "[*]:" }).waitFor();
  }

  async menu(title: string, command: string): Promise<void> {
    await this.page.locator(".lm-MenuBar-item", { hasText: new RegExp(`^${title}$`) }).click();
    await this.page.locator(`.lm-Menu-item[data-command="${command}"]`).click();
  }

  async runAll(): Promise<void> {
    await this.menu("Run", "runmenu:run-all");
  }

  /** Puts the cursor behind the cell's text. */
  async edit(index: number): Promise<void> {
    await this.cell(index).locator(".cm-content").click();
    await this.page.keyboard.press("Control+End");
  }

  /** Waits until a line of the cell is this one. */
  async line(index: number, text: RegExp): Promise<void> {
    await this.cell(index).locator(".cm-line", { hasText: text }).waitFor();
  }

  /** Ctrl-Enter. */
  async run(index: number): Promise<void> {
    await this.edit(index);
    await this.page.keyboard.press("Control+Enter");
  }

  async tool(name: "interrupt" | "restart" | "save"): Promise<void> {
    await this.panel.locator(`.jp-Toolbar-item[data-jp-item-name="${name}"]`).click();
  }

  /** The button, and the question that it asks. */
  async restart(): Promise<void> {
    await this.tool("restart");
    const restarted = this.page.waitForResponse((response) => /\/restart(\?|$)/.test(response.url()));
    await this.page.locator(".jp-Dialog .jp-mod-accept").click();
    await restarted;
    await this.idle();
  }
}
