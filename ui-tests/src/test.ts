/** Tests with a browser: one for each file, a new page for each test. */
import { join } from "node:path";
import { type Browser, type Page, chromium } from "playwright-core";
import { type TestAPI, test as base } from "vitest";
import { NotebookPage } from "./notebook-page";
import * as settings from "./settings";

/** [ms] for whatever a page is waited for. */
const PATIENCE = 30_000;

export type Program = keyof typeof settings.programs;

interface Fixtures {
  browser: Browser;
  page: Page;
  open: (program: Program, file: string) => Promise<NotebookPage>;
}

export const test: TestAPI<Fixtures> = base.extend<Fixtures>({
  browser: [
    async ({}, use) => {
      const browser = await chromium.launch({
        executablePath: settings.chromium,
        // Chromium's sandbox does not work for root.
        chromiumSandbox: process.getuid?.() !== 0,
        args: ["--disable-dev-shm-usage"],
      });
      await use(browser);
      await browser.close();
    },
    { scope: "file" },
  ],
  page: async ({ browser, task }, use) => {
    // High, so that all cells of a test are in view: those beyond it are not in the page.
    const context = await browser.newContext({ viewport: { width: 1200, height: 1600 } });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    await use(page);
    const name = task.fullName.replace(/^\S+ > /, "").replace(/\W+/g, "-");
    await page.screenshot({ path: join(settings.screenshots, `${name}.png`) });
    await endKernels(page);
    await context.close();
  },
  open: async ({ page }, use) => {
    await use((program, file) => NotebookPage.open(page, settings.programs[program], file));
  },
});

/** As people do in the list of what runs. */
async function endKernels(page: Page): Promise<void> {
  for (const place of Object.values(settings.programs)) {
    const { origin, searchParams } = new URL(place);
    const headers = { Authorization: `token ${searchParams.get("token") ?? ""}` };
    const kernels = (await (await page.request.get(`${origin}/api/kernels`, { headers })).json()) as { id: string }[];
    for (const { id } of kernels) await page.request.delete(`${origin}/api/kernels/${id}`, { headers });
  }
}
