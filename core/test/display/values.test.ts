import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { jupyterDisplay } from "../../src/display";
import { NdArrayValue, dataFrame, ndarray, pyFloat } from "../../src/python";

const shown = (value: { [jupyterDisplay](): { "text/plain": string; "text/html"?: string } }) =>
  value[jupyterDisplay]();

describe("how arrays look", () => {
  it("type, shape, items by rows", () => {
    const array = ndarray(Float64Array.of(1, 2.5, NaN, -Infinity, 1 / 3, 1e21), [2, 3]);
    expect(inspect(array)).toBe("float64 array, shape [2, 3]\n[[1, 2.5, NaN],\n [-Infinity, 0.333333, 1e+21]]");
    expect(inspect(ndarray(new Int8Array(0)))).toBe("int8 array, shape [0]\n[]");
    expect(inspect(ndarray(Int8Array.of(7), []))).toBe("int8 array, shape []\n7");
  });

  it("booleans and times as such", () => {
    expect(inspect(new NdArrayValue("bool", [2], Uint8Array.of(0, 1)))).toContain("[false, true]");
    const times = BigInt64Array.of(0n, 1_577_934_245_678_901_234n, -(2n ** 63n));
    expect(inspect(new NdArrayValue("datetime64[ns]", [3], times))).toContain(
      "[1970-01-01, 2020-01-02 03:04:05.678, NaT]",
    );
    expect(inspect(new NdArrayValue("datetime64[Y]", [1], BigInt64Array.of(50n)))).toContain("[2020-01-01]");
    expect(inspect(new NdArrayValue("datetime64[ns]", [1], BigInt64Array.of(2n ** 62n)))).toContain("2116");
    expect(inspect(new NdArrayValue("timedelta64[s]", [1], BigInt64Array.of(5n)))).toContain("[5 s]");
  });

  it("short, however large they are", () => {
    for (const array of [
      ndarray(new Float64Array(1_000_000)),
      ndarray(new Float64Array(1_000_000), [1000, 1000]),
      ndarray(new Float64Array(2 ** 20), Array<number>(20).fill(2)),
    ]) {
      expect(inspect(array).length).toBeLessThan(2000);
      expect(inspect(array)).toContain("…");
    }
  });
});

describe("how data frames look", () => {
  it("a table with names, row numbers and size", () => {
    const frame = dataFrame({ name: ["a", null], size: Float64Array.of(1.5, 2) });
    expect(inspect(frame)).toBe("   name  size\n0  a     1.5\n1  null  2\n2 rows × 2 columns");
    const html = shown(frame)["text/html"] ?? "";
    expect(html).toContain("<table>");
    expect(html.match(/<tr>/g)).toHaveLength(3);
    expect(inspect({ frame })).toContain("2 rows");
  });

  it("escaped, and in one line", () => {
    const frame = dataFrame({ "<b>": ["<script>", "a\nb", "\u001b[31m"] });
    const { "text/html": html = "", "text/plain": plain } = shown(frame);
    expect(html).not.toMatch(/<script|<b>/);
    expect(html).toContain("&#60;script&#62;");
    expect(plain.split("\n")).toHaveLength(5);
    expect(plain).not.toContain("\u001b");
  });

  it("head and tail of large ones", () => {
    const rows = 1_000_000;
    const frame = dataFrame(
      Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`c${String(at)}`, new Float64Array(rows)])),
    );
    const { "text/html": html = "", "text/plain": plain } = shown(frame);
    expect(plain).toContain("1000000 rows × 100 columns");
    expect(plain).toMatch(/^999999 /m);
    expect(plain.split("\n").length).toBeLessThan(30);
    expect(html.length).toBeLessThan(30_000);
    expect(inspect(dataFrame({ text: ["x".repeat(10_000)] })).length).toBeLessThan(200);
  });

  it("and floats", () => {
    expect(inspect([pyFloat(2)])).toBe("[ pyFloat(2) ]");
  });
});
