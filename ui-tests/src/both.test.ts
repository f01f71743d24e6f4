/** What works in JupyterLab and in Notebook 7. */
import { describe, expect } from "vitest";
import { writeNotebook } from "./notebook-file";
import { type Program, test } from "./test";

const programs: readonly Program[] = ["JupyterLab", "Notebook 7"];

describe.each(programs)("%s", (program) => {
  const slug = program.replace(" ", "-");

  test("runs all cells, and shows what they print, give and throw, in order", async ({ open }) => {
    const file = writeNotebook(`outputs-${slug}`, [
      'console.log("printed first");\nconsole.error("printed to stderr");\n({ answer: 6 * 7 })',
      'import { Runtime, RuntimeTask } from "lazycluster";\nconst runtime = new Runtime("host-1");',
      'runtime.executeTask(new RuntimeTask("live").runCommand("for i in 1 2 3; do echo part $i; sleep 0.2; done")).task',
      "const before = 1;\n\nthrow new RangeError(`too far after ${before}`);",
      'console.log("never");',
    ]);
    const notebook = await open(program, file);
    await notebook.runAll();

    await notebook.ran(3);
    expect(await notebook.texts(0)).toEqual(["printed first", "printed to stderr", "{ answer: 42 }"]);
    // The cell ended long before its task, whose table goes on.
    await notebook.shows(2, "done on host-1");
    const [live = "", ...more] = await notebook.texts(2);
    expect(more).toEqual([]);
    expect(live).toMatch(/^live done on host-1.*part 1\npart 2\npart 3\n/s);
    const [error = ""] = await notebook.texts(3);
    expect(error).toContain("RangeError: too far after 1");
    expect(error).toContain("> 3 | throw new RangeError");
    expect(await notebook.texts(4)).toEqual([]);
  });

  test("interrupts a loop and restarts, by its buttons", async ({ open }) => {
    const file = writeNotebook(`interrupt-${slug}`, [
      'let kept = "kept";',
      'console.log("loops");\nfor (;;) {}',
      "kept",
    ]);
    const notebook = await open(program, file);
    await notebook.run(0);
    await notebook.ran(0);
    await notebook.run(1);
    await notebook.shows(1, "loops");
    await notebook.tool("interrupt");
    await notebook.shows(1, "Interrupted");
    await notebook.ran(1);

    await notebook.run(2);
    await notebook.shows(2, /^kept$/);

    await notebook.restart();
    await notebook.run(2);
    await notebook.shows(2, "Cannot find name 'kept'");
  });
});
