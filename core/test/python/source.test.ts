import { mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../src/errors";
import { PySource, py, pyFile, pyModule } from "../../src/python";
import { dedent, definedFunctions } from "../../src/python/source-text";

function sourceOf(fn: unknown): string {
  const { spec } = fn as PySource;
  if (spec.kind !== "source") throw new Error("no source");
  return spec.source;
}

describe("py", () => {
  it("calls the last function, or a named one", () => {
    const fn = py`
      import os
      def first(): pass
      async def second(x):
          def inner(): pass
          return x
    `;
    expect(fn.name).toBe("second");
    expect(fn.named("first").name).toBe("first");
    expect(() => fn.named("inner")).toThrow(InvalidArgumentError);
    expect(() => fn.named("third")).toThrow(/first, second/);
  });

  it("removes the indentation that all lines share, and nothing else", () => {
    expect(dedent("    a\n\n      b\n    c")).toBe("a\n\n  b\nc");
    expect(dedent("\ta\n\t\tb")).toBe("a\n\tb");
    expect(dedent("a\n  b")).toBe("a\n  b");
  });

  it("keeps text raw", () => {
    const fn = py`
      def f():
          return "a\nb" + r"\d" + '\`' + "\${x}"
    `;
    expect(sourceOf(fn)).toContain(`"a\\nb" + r"\\d" + '\`' + "\${x}"`);
  });

  it("passes values as data, never as text", () => {
    const hostile = `"); import os; os.system("rm -rf /") #`;
    const fn = py`
      def f():
          return ${hostile}
    `;
    expect(sourceOf(fn)).not.toContain("rm -rf");
    expect((fn as PySource).bound).toEqual({ _lc_value_0: hostile });
  });

  it("finds names of its own for values", () => {
    const fn = py`
      def f(_lc_value_0):
          return _lc_value_0 + ${1}
    `;
    expect((fn as PySource).spec).toMatchObject({ bind: ["__lc_value_0"] });
  });

  it("sees no functions in strings and comments", () => {
    expect(
      definedFunctions(`
"""
def no(): pass
"""
x = '''
def nor_this(): pass'''
# def nor(): pass
s = "\\"
def yes(a): pass
async  def  also [T](x): pass
class C:
    def method(self): pass
`),
    ).toEqual(["yes", "also"]);
  });

  it("needs a function, and values that can travel", () => {
    expect(() => py`x = 1`).toThrow(InvalidArgumentError);
    expect(() => py`def f(): return ${(() => 1) as never}`).toThrow(InvalidArgumentError);
    expect(() => (py as unknown as (text: string) => void)("def f(): pass")).toThrow(InvalidArgumentError);
  });
});

describe("pyFile", () => {
  it("reads the file now and names it in tracebacks", () => {
    const folder = mkdtempSync(join(tmpdir(), "lc-"));
    try {
      const file = join(folder, "clean.py");
      writeFileSync(file, "def clean(x):\n    return x\n\ndef other(): pass\n");
      const fn = pyFile(file, "clean");
      rmSync(file);
      expect((fn as PySource).spec).toMatchObject({ name: "clean", file });
      expect(() => pyFile(file, "clean")).toThrow(InvalidArgumentError);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("pyModule", () => {
  it("takes dotted names only", () => {
    expect(pyModule("os.path", "join").name).toBe("join");
    for (const [module, fn] of [
      ["os; import x", "f"],
      ["os", "f()"],
      ["", "f"],
      ["os", ""],
      ["os.", "f"],
    ] as const) {
      expect(() => pyModule(module, fn)).toThrow(InvalidArgumentError);
    }
  });
});
