/** The pure parts of the kernel: edits of cells, cursors, history, words of magic lines. */
import fc from "fast-check";
import typescript from "typescript";
import { describe, expect, it } from "vitest";
import { splitWords } from "../../src/cli/notebook/words";
import { completeness } from "../../src/notebook/completeness";
import { toCodePoints, toUtf16 } from "../../src/notebook/cursor";
import { History } from "../../src/notebook/history";
import { awaitEdits } from "../../src/notebook/source/awaits";
import { applyEdits } from "../../src/notebook/source/edits";
import { cellMagic, lineMagics, magicEdits, withoutMagics } from "../../src/notebook/source/magics";

describe("applyEdits", () => {
  /** Texts with edits that do not overlap. */
  const edited = fc
    .tuple(fc.string({ maxLength: 60 }), fc.array(fc.tuple(fc.nat(5), fc.nat(5), fc.string({ maxLength: 5 }))))
    .map(([text, steps]) => {
      let at = 0;
      const edits = steps.flatMap(([skip, length, put]) => {
        const start = at + skip + 1;
        const end = start + length;
        if (end > text.length) return [];
        at = end;
        return [{ start, end, text: put }];
      });
      return { text, edits };
    });

  it("leads from what stayed as it was back to where it was", () => {
    fc.assert(
      fc.property(edited, ({ text, edits }) => {
        const result = applyEdits(text, edits);
        const kept = Array.from(text).length === text.length ? text : "";
        for (let offset = 0; offset < kept.length; offset++) {
          if (edits.some(({ start, end }) => offset >= start && offset < end)) continue;
          const there = result.fromOriginal(offset);
          expect(result.text[there]).toBe(text[offset]);
          expect(result.toOriginal(there)).toBe(offset);
        }
      }),
    );
  });
});

describe("cursors", () => {
  it("are the same place in code points and in UTF-16", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const points = Array.from(text);
        points.forEach((_, count) => {
          const index = points.slice(0, count).join("").length;
          expect(toUtf16(text, count)).toBe(index);
          expect(toCodePoints(text, index)).toBe(count);
        });
      }),
    );
  });
});

describe("magic lines", () => {
  const rewrite = (code: string): string => applyEdits(code, magicEdits(lineMagics(typescript, code))).text;

  it("become calls that keep the lines", () => {
    expect(rewrite("%lazycluster ps -a;")).toBe('await globalThis["__lazycluster__"].line("ps -a");');
    expect(rewrite("  const x = %lazycluster ps\nx")).toBe(
      '  const x = await globalThis["__lazycluster__"].value("ps");\nx',
    );
  });

  it.each([
    "`\n%lazycluster ps\n`",
    "`${1}\n%lazycluster ps ${2}`",
    "/*\n%lazycluster ps\n*/",
    "// %lazycluster ps",
    "// x = %lazycluster ps",
    "const s = 'a\\\n%lazycluster ps';",
    "const s = 'x = %lazycluster ps';",
    "const r = /x = %lazycluster ps/;",
    "total\n%lazycluster",
    "(1)\n  %lazycluster + 2",
    "a %lazycluster",
    "n!\n%m",
    "i++\n%d",
    "const format = 'a\\\n%d';",
    "x == %lazycluster",
  ])("are none in %j", (code) => {
    expect(rewrite(code)).toBe(code);
  });

  it.each([
    "x\n%lazycluster ps",
    "f()\n%lazycluster --help",
    "i++\n%lazycluster ps",
    "type A = number\n%lazycluster",
    "if (x) {\n  %lazycluster ps\n}",
    "if (x)\n  %lazycluster ps",
    "let a = `b`\n%lazycluster run h -- echo `date`",
    "%lazycluster ps\r\n1;",
  ])("are one in %j", (code) => {
    expect(rewrite(code)).toContain(".line(");
    expect(lineMagics(typescript, code)).toHaveLength(1);
    expect(withoutMagics(code, lineMagics(typescript, code))).toHaveLength(code.length);
  });

  it.each([
    "const x =\n  %lazycluster ps",
    "const x: any = // why\n%lazycluster ps\n(1);",
    "let {length: n = 4} = %lazycluster ps",
    "[a, b] = %lazycluster ps",
    "o['a b'] = %lazycluster ps",
    "export const x = %lazycluster ps",
    "let a = 'x = %d', b = %lazycluster ps",
    "f(\n  %lazycluster ps\n);",
    "const [x, y] = [\n  %lazycluster ps\n  , 2];",
    "const all = () =>\n  %lazycluster ps",
    "`${\n%lazycluster ps\n}`",
    "const x = %lazycluster ps\r\nx",
  ])("are data in %j", (code) => {
    const text = rewrite(code);
    expect(text).toContain('.value("ps")');
    const { diagnostics } = typescript.transpileModule(`async function cell() {\n${text.replace("export ", "")}\n}`, {
      reportDiagnostics: true,
      compilerOptions: { target: typescript.ScriptTarget.ES2022 },
    });
    expect(
      diagnostics?.filter(
        ({ messageText }) => !typescript.flattenDiagnosticMessageText(messageText, "").includes("'await'"),
      ),
    ).toEqual([]);
    expect(text.split("\n")).toHaveLength(code.split("\n").length);
  });

  it("are found between statements and values, whatever stands around them", () => {
    const around = [
      "const a = `x\n%lazycluster ps\n`;",
      "n\n%m;",
      "f('%lazycluster ps');",
      "/*\n%d\n*/",
      "i++;",
      "class C {}",
      "",
    ];
    const magic = fc.constantFrom("%lazycluster ps", "const x = %lazycluster ps", "  y =\n%lazycluster ps");
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom(...around), magic)),
        fc.constantFrom("\n", "\r\n"),
        (lines, end) => {
          const code = lines.join(end);
          const found = lineMagics(typescript, code).map(({ start, end: last }) => code.slice(start, last));
          expect(found).toEqual(lines.filter((line) => !around.includes(line)).map(() => "%lazycluster ps"));
        },
      ),
    );
  });

  it("that are not there are refused with their line", () => {
    expect(() => lineMagics(typescript, "1;\n\n%time x")).toThrow("Did you mean %lazycluster?");
    expect(() => lineMagics(typescript, "1;\n%%lazycluster run")).toThrow("begins a cell");
    expect(() => cellMagic("%%bash\nls")).toThrow("Did you mean %%lazycluster?");
  });

  it("of a whole cell stand below nothing but comments", () => {
    const cell = { line: "run --on a", body: "ls\n\npwd" };
    expect(cellMagic("\n%%lazycluster run --on a\nls\n\npwd")).toEqual(cell);
    expect(cellMagic("// why\n/* and\n** how */\n%%lazycluster run --on a\r\nls\r\n\r\npwd")).toEqual(cell);
    expect(cellMagic("1\n%%lazycluster run")).toBeNull();
    expect(cellMagic("/* */ ".repeat(50))).toBeNull();
  });
});

describe("awaits of compiled code", () => {
  const rewrite = (code: string): string => applyEdits(code, awaitEdits(typescript, code, 7).edits).text;

  it.each([
    "await (x)",
    "const a = await f(await g());",
    "async function f() { return await (1); }",
    "for await (const x of y()) z(x);",
    "[1].map(async (x) => await x)",
  ])("go through the kernel and stay code: %s", (code) => {
    const text = rewrite(code);
    const { diagnostics } = typescript.transpileModule(`${text}\nexport {};`, {
      reportDiagnostics: true,
      compilerOptions: { module: typescript.ModuleKind.ESNext, target: typescript.ScriptTarget.ES2022 },
    });
    expect(diagnostics).toEqual([]);
    expect(text).toMatch(/__lazycluster__\.(wait|pass|waitEach)\(/);
    expect(text.split("\n")).toHaveLength(code.split("\n").length);
  });

  it("are found outside functions only where they are", () => {
    expect(awaitEdits(typescript, "await x", 7).topLevel).toBe(true);
    expect(awaitEdits(typescript, "async () => await x", 7).topLevel).toBe(false);
    expect(awaitEdits(typescript, '"await x"', 7).edits).toEqual([]);
  });
});

describe("completeness", () => {
  const status = (code: string): unknown => completeness(typescript, code)["status"];

  it.each([
    ["1", "complete"],
    ["await (x)", "complete"],
    ["function f() {", "incomplete"],
    ["`a", "incomplete"],
    ["call(1,", "incomplete"],
    ["/* a", "incomplete"],
    ["f(]", "invalid"],
    ["}", "invalid"],
    ["function f() {\n\n\n", "complete"],
  ])("%j is %s", (code, expected) => {
    expect(status(code)).toBe(expected);
  });

  it("indents what is open", () => {
    expect(completeness(typescript as never, "if (x) {\n  if (y) {")["indent"]).toBe("    ");
  });
});

describe("history", () => {
  const history = new History();
  ["a", "b", "a", "abc"].forEach((input, index) => history.add(index + 1, input));
  history.setOutput("out");
  const inputs = (request: Record<string, unknown>): unknown =>
    (history.find(request)["history"] as [number, number, unknown][]).map(([, , input]) => input);

  it("is found by its end, by numbers, by patterns", () => {
    expect(inputs({ hist_access_type: "tail", n: 2 })).toEqual(["a", "abc"]);
    expect(inputs({ hist_access_type: "range", session: 0, start: 2, stop: 4 })).toEqual(["b", "a"]);
    expect(inputs({ hist_access_type: "range", session: -1, start: 0, stop: 9 })).toEqual([]);
    expect(inputs({ hist_access_type: "search", pattern: "a*", unique: true })).toEqual(["a", "abc"]);
    expect(inputs({ hist_access_type: "search", pattern: "?" })).toEqual(["a", "b", "a"]);
    expect(inputs({ hist_access_type: "tail", n: 1, output: true })).toEqual([["abc", "out"]]);
  });
});

describe("words", () => {
  it.each([
    ["run host-1 -- echo 'a  b' | wc", ["run", "host-1", "--", "echo 'a  b' | wc"]],
    [`a "b c" 'd "e"' f\\ g "h\\"i"`, ["a", "b c", 'd "e"', "f g", 'h"i']],
    ["", []],
    ["--on=a,b x'y'z", ["--on=a,b", "xyz"]],
  ])("of %j", (line, words) => {
    expect(splitWords(line)).toEqual(words);
  });

  it("with a quote that does not end are refused", () => {
    expect(() => splitWords("a 'b")).toThrow("A quote does not end: 'b");
  });
});
