/** The table of docs/values.md against real interpreters on real hosts. */
import { join } from "node:path";
import { type TestContext, afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PyKwargs } from "lazycluster";
import { type TestHosts, needsRoot, startHosts } from "../hosts";
import {
  Runtime,
  type RuntimeType,
  type Workspace,
  dataFrame,
  ndarray,
  py,
  pyFloat,
  rejection,
  workspace,
} from "../support";

/** An interpreter with NumPy, pandas, polars and pyarrow, as the host sees it. */
const PYTHON = process.env["LAZYCLUSTER_TEST_PYTHON"] ?? join(__dirname, "..", "..", "..", ".venv", "bin", "python");
const LIBRARIES = ["numpy", "pandas", "polars", "pyarrow"];

const echo = py`
def echo(value):
    return value
`;
const describeIt = py`
def describe(value):
    kind = type(value)
    return "%s.%s" % (kind.__module__, kind.__name__), repr(value)
`;

let hosts: TestHosts;
let space: Workspace;
let runtime: RuntimeType;
/** Why the libraries are not there; null: they are. */
let without: string | null = null;

async function call(fn: ReturnType<typeof py>, kwargs: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
  const execution = runtime.executeFunction(fn, kwargs as PyKwargs, without === null ? { python: PYTHON } : {});
  return (await (await execution).returns())[0];
}

function needLibraries({ skip }: TestContext): void {
  if (without !== null) skip(without);
}

describe("on a host of root", needsRoot(), () => as("root"));
describe("on a host of an ordinary user", () => as("ordinary"));

function as(user: "root" | "ordinary"): void {
  beforeAll(async () => {
    hosts = await startHosts({ user, pythons: true });
    space = workspace(hosts.configFile);
    const found = await hosts.hosts[0]!.exec([PYTHON, "-c", `import ${LIBRARIES.join(", ")}`]);
    without = found.code === 0 ? null : `${PYTHON} has no ${LIBRARIES.join(", ")} for this host's user`;
    runtime = new Runtime("host-1");
  });
  afterAll(async () => {
    await runtime.close();
    await hosts.stop();
    space.remove();
  });

  it("plain values arrive as Python's own, and come back", async () => {
    const when = new Date("2020-01-02T03:04:05.678Z");
    const cases: [unknown, string, string][] = [
      [null, "builtins.NoneType", "None"],
      [undefined, "builtins.NoneType", "None"],
      [true, "builtins.bool", "True"],
      [2, "builtins.int", "2"],
      [2 ** 53 - 1, "builtins.int", "9007199254740991"],
      [2.5, "builtins.float", "2.5"],
      [1e300, "builtins.float", "1e+300"],
      [-0, "builtins.float", "-0.0"],
      [NaN, "builtins.float", "nan"],
      [-Infinity, "builtins.float", "-inf"],
      [2n ** 70n, "builtins.int", "1180591620717411303424"],
      ["é😀", "builtins.str", "'é😀'"],
      [Uint8Array.of(0, 255), "builtins.bytes", String.raw`b'\x00\xff'`],
      [when, "datetime.datetime", "datetime.datetime(2020, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc)"],
      [[1, [2]], "builtins.list", "[1, [2]]"],
      [new Set([7]), "builtins.set", "{7}"],
      [{ a: 1 }, "builtins.dict", "{'a': 1}"],
      [new Map([["a", 1]]), "builtins.dict", "{'a': 1}"],
      [
        new Map<unknown, unknown>([
          [1, "a"],
          [[2, "x"], null],
        ]),
        "builtins.dict",
        "{1: 'a', (2, 'x'): None}",
      ],
    ];
    const values = cases.map(([value]) => value) as never[];
    const described = (await call(
      py`
    def describe(values):
        return [("%s.%s" % (type(v).__module__, type(v).__name__), repr(v)) for v in values]
    `,
      { values },
    )) as [string, string][];
    expect(described).toEqual(cases.map(([, type, repr]) => [type, repr]));
    const expected = cases.map(([value]) =>
      value === undefined ? null : value instanceof Map && value.size === 1 ? { a: 1 } : value,
    );
    expect(await call(echo, { value: values })).toEqual(expected);
    expect(await call(describeIt, { value: pyFloat(2) })).toEqual(["builtins.float", "2.0"]);
  });

  it("what Python has besides: tuples, frozen sets, days, local times, wide integers", async () => {
    const value = (await call(py`
    def values():
        import datetime, os, time
        os.environ["TZ"] = "UTC-02:00"
        time.tzset()
        day = datetime.date(2020, 1, 2)
        return {
            "tuple": (1, (2,)), "frozen": frozenset([1]), "day": day, "wide": -2**60, "bytearray": bytearray(b"x"),
            "view": memoryview(b"abcd")[::2], "local": datetime.datetime(2020, 1, 2, 3), "keys": {b"k": {2: ()}},
        }
    `)) as Record<string, unknown>;
    expect(value).toEqual({
      tuple: [1, [2]],
      frozen: new Set([1]),
      day: new Date("2020-01-02T00:00:00Z"),
      wide: -(2n ** 60n),
      bytearray: Uint8Array.of(120),
      view: Uint8Array.of(97, 99),
      local: new Date("2020-01-02T01:00:00Z"),
      keys: new Map([[Uint8Array.of(107), new Map([[2, []]])]]),
    });
  });

  it("an array on a host without NumPy is one error that says what to do", async ({ skip }) => {
    const found = await hosts.hosts[0]!.exec(["python3", "-c", "import numpy"]);
    if (found.code === 0) skip("the host's own python3 has NumPy");
    const error = await rejection(runtime.executeFunction(echo, { value: Float64Array.of(1) }));
    expect((error as Error).message).toMatch(
      /host-1.*no NumPy.*python3? ?-m pip install numpy|host-1.*no NumPy.*-m pip install numpy/s,
    );
    expect(await (await runtime.executeFunction(echo, { value: 1 })).returns()).toEqual([1]);
  });

  it("arrays arrive in NumPy with type and shape, writable, and come back", async (context) => {
    needLibraries(context);
    const arrays = {
      plain: Float64Array.of(1, 2.5, NaN),
      table: ndarray(Int16Array.of(1, 2, 3, 4, 5, 6), [2, 3]),
      bytes: ndarray(Uint8Array.of(0, 255)),
      wide: BigUint64Array.of(2n ** 64n - 1n),
      empty: new Float32Array(0),
      clamped: Uint8ClampedArray.of(7),
    };
    const seen = await call(
      py`
    def look(arrays):
        import numpy
        for array in arrays.values():
            assert type(array) is numpy.ndarray and array.flags.writeable and array.flags.c_contiguous
        arrays["plain"] *= 2
        return {name: (array.dtype.name, list(array.shape), array.tolist()) for name, array in arrays.items()}
    `,
      { arrays },
    );
    expect(seen).toEqual({
      plain: ["float64", [3], [2, 5, NaN]],
      table: [
        "int16",
        [2, 3],
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
      ],
      bytes: ["uint8", [2], [0, 255]],
      wide: ["uint64", [1], [2n ** 64n - 1n]],
      empty: ["float32", [0], []],
      clamped: ["uint8", [1], [7]],
    });
    const back = (await call(echo, { value: arrays })) as Record<string, ReturnType<typeof ndarray>>;
    expect(Object.values(back).map(({ dtype, shape }) => [dtype, shape])).toEqual([
      ["float64", [3]],
      ["int16", [2, 3]],
      ["uint8", [2]],
      ["uint64", [1]],
      ["float32", [0]],
      ["uint8", [1]],
    ]);
    expect(back["table"]?.data).toEqual(Int16Array.of(1, 2, 3, 4, 5, 6));
    const made = (await call(py`
    def make():
        import numpy
        a = numpy.arange(6).reshape(2, 3)
        return {"fortran": a.T, "big": a.astype(">i4")[0], "half": numpy.float16([0.5]), "flags": a > 2,
                "times": numpy.array(["2020-01-01", "NaT"], "M8[s]"), "scalar": numpy.float32(0.5), "whole": numpy.int64(7)}
    `)) as Record<string, ReturnType<typeof ndarray>>;
    expect(made["fortran"]).toMatchObject({
      dtype: "int64",
      shape: [3, 2],
      data: BigInt64Array.of(0n, 3n, 1n, 4n, 2n, 5n),
    });
    expect(made["big"]).toMatchObject({ dtype: "int32", data: Int32Array.of(0, 1, 2) });
    expect(made["half"]).toMatchObject({ dtype: "float32", data: Float32Array.of(0.5) });
    expect(made["flags"]).toMatchObject({ dtype: "bool", shape: [2, 3], data: Uint8Array.of(0, 0, 0, 1, 1, 1) });
    expect(made["times"]).toMatchObject({
      dtype: "datetime64[s]",
      data: BigInt64Array.of(1577836800n, -(2n ** 63n)),
    });
    expect([made["scalar"], made["whole"]]).toEqual([0.5, 7]);
    expect(String(made["times"]!.data)).toBe(`1577836800,${String(-(2n ** 63n))}`);
  });

  it("data frames arrive in pandas, and come back from pandas, polars and Arrow as columns", async (context) => {
    needLibraries(context);
    const frame = dataFrame({ n: Float64Array.of(1, 2), t: ["a", null], i: Int32Array.of(3, 4), l: [[1], { a: 2 }] });
    expect(await call(describeIt, { value: frame })).toMatchObject(["pandas.core.frame.DataFrame", expect.any(String)]);
    const back = (await call(echo, { value: frame })) as typeof frame;
    expect(back.columnNames).toEqual(["n", "t", "i", "l"]);
    expect(back.columns).toEqual({ ...frame.columns });
    for (const library of ["pandas", "polars", "pyarrow"]) {
      const made = (await call(
        py`
      def make(library):
          columns = {"n": [1.5, None], "t": ["é", None], "i": [1, 2], "g": [1, None]}
          if library == "pandas":
              import pandas
              return pandas.DataFrame(columns).astype({"g": "Int64"})
          if library == "polars":
              import polars
              return polars.DataFrame(columns)
          import pyarrow
          return pyarrow.table(columns)
      `,
        { library },
      )) as typeof frame;
      expect(made.columnNames).toEqual(["n", "t", "i", "g"]);
      expect(made.columns).toEqual({
        n: Float64Array.of(1.5, NaN),
        t: ["é", null],
        i: BigInt64Array.of(1n, 2n),
        g: [1, null],
      });
      expect(made.length).toBe(2);
    }
  });
}
