/** Python's libraries on real hosts: arrays, frames, models, plots. */
import { spawnSync } from "node:child_process";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestHosts, startHosts } from "../hosts";
import {
  PyDisplay,
  type PyDisplayType,
  PyHandle,
  type PyHandleType,
  Runtime,
  type RuntimeType,
  SCIENCE,
  type Workspace,
  bridge,
  expectCleanHost,
  jupyterDisplay,
  py,
  rejection,
  workspace,
} from "../support";

let hosts: TestHosts;
let space: Workspace;
let runtime: RuntimeType;
let other: RuntimeType;

beforeAll(async () => {
  const found = spawnSync(SCIENCE, ["-c", "import matplotlib, numpy, pandas, sklearn"], { encoding: "utf8" });
  if (found.status !== 0)
    throw new Error(`these tests need an interpreter with the libraries: ${SCIENCE}\n${found.stderr}`);
  hosts = await startHosts({ count: 2, pythons: true });
  space = workspace(hosts.configFile);
  process.env["LAZYCLUSTER_PYTHON"] = SCIENCE;
});
beforeEach(() => {
  runtime = new Runtime("host-1", { python: SCIENCE });
  other = new Runtime("host-2", { python: SCIENCE });
});
afterEach(async () => {
  await Promise.all([runtime.close(), other.close(), bridge.close()]);
  for (const host of hosts.hosts) await expectCleanHost(host, 3000);
});
afterAll(async () => {
  await hosts.stop();
  space.remove();
  delete process.env["LAZYCLUSTER_PYTHON"];
});

async function call(on: RuntimeType, ...args: Parameters<RuntimeType["executeFunction"]>): Promise<unknown> {
  return (await (await on.executeFunction(...args)).returns())[0];
}

describe("arrays", () => {
  it("arrive as NumPy's, and come back as typed arrays of exactly their memory", async () => {
    const x = new Float64Array([1, 2.5, -0, Number.NaN]);
    const result = (await call(
      runtime,
      py`
      import numpy

      def f(x):
          assert isinstance(x, numpy.ndarray) and x.flags.writeable
          return {"twice": x * 2, "grid": numpy.arange(6).reshape(2, 3).T, "scalar": numpy.float32(1.5)}
      `,
      { x },
    )) as { twice: { data: Float64Array; shape: number[] }; grid: { data: unknown; shape: number[] }; scalar: number };
    expect([...result.twice.data]).toEqual([2, 5, -0, Number.NaN]);
    expect(result.twice.data.buffer.byteLength).toBe(32);
    expect([result.grid.shape, result.grid.data]).toEqual([[3, 2], new BigInt64Array([0n, 3n, 1n, 4n, 2n, 5n])]);
    expect(result.scalar).toBe(1.5);
  });

  it("beyond 64 MB too, both ways", { timeout: 60_000 }, async () => {
    const count = 12 * 1024 * 1024;
    const x = new Float64Array(count).fill(0.5);
    x[count - 1] = 7;
    const { data } = (await call(runtime, py`def f(x): return x + 1`, { x })) as { data: Float64Array };
    expect([data.length, data[0], data[count - 1]]).toEqual([count, 1.5, 8]);
  });

  it("need NumPy on the host: else the error says how to get it", async () => {
    const bare = new Runtime("host-2", { python: "/usr/bin/python3" });
    if ((await rejection(call(bare, py`def f(): import numpy`)).catch(() => null)) !== null) {
      const error = (await rejection(call(bare, py`def f(x): return 1`, { x: new Float64Array(2) }))) as Error;
      expect(error.message).toMatch(/host-2/);
      expect(error.message).toMatch(/NumPy/);
      expect(error.message).toMatch(/-m pip install numpy/);
    }
    await bare.close();
  });
});

describe("a model", () => {
  it("is trained on one host and used on another one, and in the bridge", { timeout: 60_000 }, async () => {
    const model = (await call(
      runtime,
      py`
      import numpy
      from sklearn.linear_model import LinearRegression

      def train(x, y):
          return LinearRegression().fit(x.reshape(-1, 1), y)
      `,
      { x: new Float64Array([0, 1, 2, 3]), y: new Float64Array([1, 3, 5, 7]) },
    )) as PyHandleType;
    expect(model).toBeInstanceOf(PyHandle);
    expect(model.type).toBe("sklearn.linear_model._base.LinearRegression");
    // It has an HTML form, which is text here.
    expect(model[jupyterDisplay]()["text/html"]).not.toMatch(/<style|<div id="sk/);
    const predict = py`
    def predict(model, x):
        return float(model.predict([[x]])[0])
    `;
    expect(await call(other, predict, { model, x: 10 })).toBeCloseTo(21);
    expect(await bridge.call(predict, [model, 4])).toBeCloseTo(9);
  });
});

describe("a plot", () => {
  const plot = py`
  import matplotlib.pyplot as pyplot

  def plot(values):
      figure, axes = pyplot.subplots()
      axes.plot(values)
      print("plotted")
      return figure
  `;

  it("comes back as an image that a notebook shows; what is printed is the log", async () => {
    const execution = await runtime.executeFunction(plot, { values: new Float64Array([1, 4, 9]) });
    const [figure] = (await execution.returns()) as [PyDisplayType];
    expect(figure).toBeInstanceOf(PyDisplay);
    expect(figure).toMatchObject({ type: "matplotlib.figure.Figure", host: "host-1" });
    const image = figure.forms.get("image/png") as Uint8Array;
    expect([...image.subarray(0, 4)]).toEqual([0x89, 0x50, 0x4e, 0x47]);
    const bundle = figure[jupyterDisplay]();
    expect(bundle["image/png"]).toBe(Buffer.from(image).toString("base64"));
    expect(bundle["text/plain"]).toMatch(/^<Figure/);
    expect(execution.executionLog).toEqual(["plotted\n"]);
  });

  it("of a cell is shown, once, without being returned", async () => {
    const session = runtime.session("plots");
    await session.run("import matplotlib.pyplot as pyplot");
    const task = await session.run("pyplot.plot([1, 2]);\npyplot.figure(); pyplot.plot([2, 1])\nNone");
    expect(task.displays.map(({ type }) => type)).toEqual(["matplotlib.figure.Figure", "matplotlib.figure.Figure"]);
    expect((await session.run("None")).displays).toEqual([]);
  });
});
