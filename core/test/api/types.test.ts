import { createRequire } from "module";
import { join } from "path";
import type * as TypeScript from "typescript";
import { describe, expect, it } from "vitest";

const load = createRequire(__filename);
/** The compiler of tslab's cells: TypeScript 5.0, with its settings. */
const ts = load("@tslab/typescript-for-tslab") as typeof TypeScript;
const current = load("typescript") as typeof TypeScript;
const root = join(__dirname, "..", "..", "..");

function check(compiler: typeof TypeScript, options: TypeScript.CompilerOptions): string[] {
  const program = compiler.createProgram([join(__dirname, "examples.ts")], {
    noEmit: true,
    target: compiler.ScriptTarget.ES2022,
    lib: ["lib.es2022.d.ts"],
    types: ["node"],
    typeRoots: [join(root, "node_modules", "@types")],
    ...options,
  });
  return compiler
    .getPreEmitDiagnostics(program)
    .map((diagnostic) => compiler.flattenDiagnosticMessageText(diagnostic.messageText, "\n"));
}

describe("the built package's types", () => {
  it("are those of a notebook's compiler: TypeScript 5.0, Node10 resolution, not strict", () => {
    expect(ts.version).toMatch(/^5\.0\./);
    const { ESNext } = ts.ModuleKind;
    const { Node10 } = ts.ModuleResolutionKind;
    expect(check(ts, { module: ESNext, moduleResolution: Node10, skipLibCheck: true })).toEqual([]);
  }, 120_000);

  it("hold in a strict project with the current compiler, declarations checked too", () => {
    const { Node16 } = current.ModuleKind;
    const { Node16: resolution } = current.ModuleResolutionKind;
    expect(
      check(current, {
        module: Node16,
        moduleResolution: resolution,
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
      }),
    ).toEqual([]);
  }, 120_000);
});

describe("the built package", () => {
  it("exports what is public, and nothing else", () => {
    expect(Object.keys(load("lazycluster") as object).sort()).toMatchInlineSnapshot(`
      [
        "AuthenticationError",
        "Connection",
        "ConnectionError",
        "Environment",
        "GroupError",
        "HostKeyError",
        "InvalidArgumentError",
        "InvalidRuntimeError",
        "LazyclusterError",
        "NoPortsLeftError",
        "NoRuntimesDetectedError",
        "PathCreationError",
        "PortExposure",
        "PortInUseError",
        "PyDisplay",
        "PyHandle",
        "PythonVersionError",
        "Runtime",
        "RuntimeGroup",
        "RuntimeManager",
        "RuntimeTask",
        "Session",
        "TaskExecutionError",
        "bridge",
        "clearOutput",
        "dataFrame",
        "display",
        "enableTslab",
        "jsFunction",
        "jupyterDisplay",
        "ndarray",
        "page",
        "py",
        "pyFile",
        "pyFloat",
        "pyModule",
        "readLine",
      ]
    `);
  });

  it("loads neither ssh2 nor msgpack-lite nor the engine in the user's thread", () => {
    load("lazycluster");
    const loaded = Object.keys(load.cache).filter((file) =>
      /node_modules\/(ssh2|msgpack-lite)\/|dist\/engine\/engine\.js/.test(file),
    );
    expect(loaded).toEqual([]);
  });
});
