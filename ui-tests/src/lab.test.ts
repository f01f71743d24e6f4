/** What people do in JupyterLab's editor, and what they see there. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { readCells, writeNotebook } from "./notebook-file";
import { root } from "./settings";
import { test } from "./test";

const notebooks = join(__dirname, "..", "..", "notebooks");

test("Tab completes hosts and members, Shift-Tab shows a signature", async ({ open, page }) => {
  const file = writeNotebook("editor", [
    'import { Runtime } from "lazycluster";\nconst runtime = new Runtime("host-1");',
    "%lazycluster run host",
    "runtime.executeT",
    "runtime.executeTask",
  ]);
  const notebook = await open("JupyterLab", file);
  await notebook.run(0);
  await notebook.ran(0);
  const items = page.locator(".jp-Completer:visible .jp-Completer-item");

  await notebook.edit(1);
  await page.keyboard.press("Tab");
  await items.filter({ hasText: "host-2" }).waitFor();
  expect((await items.allInnerTexts()).join(" ")).toContain("host-1");
  await page.keyboard.press("Escape");

  await notebook.edit(2);
  await page.keyboard.press("Tab");
  await items.filter({ hasText: "executeTask" }).waitFor();
  await page.keyboard.press("Enter");
  await notebook.line(2, /^runtime\.executeTask$/);

  await notebook.edit(3);
  await page.keyboard.press("Shift+Tab");
  await page.locator(".jp-Tooltip", { hasText: "executeTask(" }).waitFor();
});

test("what people and hosts say is text, never HTML nor a formula", async ({ open, page }) => {
  const html = `<img src="x" onerror="window.taken = true"><b class="taken">bold</b>`;
  const dollars = "for i in $(seq 3); do echo $i; done";
  const file = writeNotebook("html", [
    'import { Runtime, RuntimeTask, dataFrame, display } from "lazycluster";\nconst runtime = new Runtime("host-1");',
    `const html = \`${html}\`;\nconsole.log(html);\nhtml`,
    "const task = new RuntimeTask(html).runCommand(`echo '${html}'; exit 3`);\nruntime.executeTask(task).task",
    `%lazycluster run host-1 -- echo '${html}'`,
    `await runtime.executeTask(new RuntimeTask("costs $1 or $2").runCommand("${dollars}"))`,
    'dataFrame({ "$a$": ["$b$"] })',
    // What is meant to be a formula shows that there are some.
    'display({ "text/plain": "", "text/html": "<p>$x^2$</p>" });',
    "throw new Error(html);",
  ]);
  const notebook = await open("JupyterLab", file);
  await notebook.runAll();

  await notebook.ran(7);
  await notebook.shows(2, "failed on host-1");
  for (const cell of [1, 2, 3, 7]) expect((await notebook.texts(cell)).join("\n")).toContain(html);
  // Its name, its command and its output.
  expect((await notebook.texts(2)).join("\n").split(html).length - 1).toBeGreaterThanOrEqual(3);
  expect(await page.locator(".jp-OutputArea img, .jp-OutputArea .taken").count()).toBe(0);
  expect(await page.evaluate("window.taken")).toBeUndefined();

  await notebook.formulas(6).waitFor();
  expect((await notebook.texts(4)).join("\n")).toContain(`run ${dollars}`);
  for (const cell of [2, 4, 5]) expect(await notebook.formulas(cell).count()).toBe(0);
});

test("the first notebook runs to its end", async ({ open }) => {
  const file = "01-first-task.ipynb";
  for (const name of [file, "data"]) cpSync(join(notebooks, name), join(root, name), { recursive: true });
  const last = readCells(file).length - 1;
  const notebook = await open("JupyterLab", file);
  await notebook.runAll();
  await notebook.ran(last);
  await notebook.tool("save");
  await expect.poll(() => readCells(file)[last]?.execution_count, { timeout: 30_000 }).toBeGreaterThan(0);

  const outputs = readCells(file).flatMap((cell) => cell.outputs ?? []);
  expect(outputs.filter((output) => output.output_type === "error" || output.name === "stderr")).toEqual([]);
  expect(JSON.stringify(outputs)).toContain("Nothing of this notebook is left on host-1.");
});
