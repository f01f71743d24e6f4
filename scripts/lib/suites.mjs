/** The suites of `npm test`: how each is run. */
import fs from "node:fs";
import path from "node:path";
import { ordinaryUser, whyNoOrdinaryUser } from "./as-user.mjs";
import { whyNoChromium } from "./chromium.mjs";
import { startDemoHosts } from "./demo.mjs";
import { isolated } from "./isolation.mjs";
import { startJupyter } from "./jupyter.mjs";
import { inProject, projectRoot, venvPython } from "./paths.mjs";
import { capture, waitUntil } from "./processes.mjs";
import { say } from "./progress.mjs";
import { pythonEnvironment } from "./python.mjs";
import { countJunit, countVitest, nothing, readReport, sum, withCrash } from "./results.mjs";
import { reportVariable } from "./vitest-reporter.mjs";

/** @typedef {import("./lifetime.mjs").Lifetime} Lifetime */
/** @typedef {import("./results.mjs").Result} Result */

/**
 * @typedef {object} Context
 * @property {Lifetime} lifetime
 * @property {string} scratch an empty directory of the suite's own
 * @property {boolean} sshd whether demo hosts can be had
 * @property {string | undefined} chromium the browser's program
 * @property {readonly string[]} coreTests files and folders of core's tests; none: all
 */

/**
 * @typedef {object} Suite
 * @property {string} name
 * @property {(context: Context) => Promise<Result>} run
 */

const minute = 60_000;

/**
 * @typedef {object} Command
 * @property {string} what
 * @property {string} program
 * @property {readonly string[]} args
 * @property {string} [cwd]
 * @property {NodeJS.ProcessEnv} [env]
 * @property {number} [timeoutMs]
 * @property {boolean} [quiet] prints the output only when it fails
 * @property {boolean} [silent] prints no output at all
 */

/**
 * @param {Context} context
 * @param {Command} command
 */
async function runCommand(
  { lifetime },
  { what, program, args, cwd = projectRoot, env = process.env, timeoutMs = 5 * minute, quiet = false, silent = false },
) {
  /** @type {string[]} */
  const lines = [];
  const result = await capture(program, args, {
    what,
    timeoutMs,
    cwd,
    env: { ...env, NO_COLOR: "1", FORCE_COLOR: "0" },
    signal: lifetime.signal,
    onLine: (line) => (quiet || silent ? lines.push(line) : say(`  ${line}`)),
  });
  if (result.code !== 0 && !silent) lines.forEach((line) => say(`  ${line}`));
  if (result.timedOut) say(`  ✗ ${what} did not end within ${timeoutMs / 1000} s and was stopped`);
  return result;
}

/**
 * A tool that only says yes or no counts as one test.
 * @param {Context} context
 * @param {Command} command
 * @returns {Promise<Result>}
 */
async function runCheck(context, command) {
  const { code } = await runCommand(context, { ...command, quiet: true });
  say(`  ${code === 0 ? "✓" : "✗"} ${command.what}`);
  return code === 0 ? { passed: 1, failed: 0, skipped: [] } : { passed: 0, failed: 1, skipped: [] };
}

/**
 * The tests of a folder.
 * @param {Context} context
 * @param {Partial<Command> & { folder: string, options?: readonly string[], hosts?: boolean }} settings with `hosts`, in namespaces
 * @returns {Promise<Result>}
 */
async function runVitest(context, { folder, options = [], hosts = false, env = process.env, ...settings }) {
  const report = path.join(context.scratch, "vitest.json");
  const reporters = ["--reporter=default", `--reporter=${inProject("scripts", "lib", "vitest-reporter.mjs")}`];
  const tool = nodeTool("vitest/vitest.mjs", "run", ...reporters, ...options);
  const command = hosts ? isolated(tool) : { ...tool, env: process.env };
  const run = await runCommand(context, {
    what: "vitest",
    ...command,
    cwd: inProject(folder),
    ...settings,
    env: { ...env, PATH: command.env["PATH"], [reportVariable]: report },
  });
  return withCrash(countVitest(readReport(report)), run);
}

/**
 * A program of node_modules, run by the Node that runs us.
 * @param {string} file
 * @param {readonly string[]} args
 */
const nodeTool = (file, ...args) => ({ program: process.execPath, args: [inProject("node_modules", file), ...args] });

/** @type {Suite} */
const lint = {
  name: "lint",
  run: async (context) => {
    const rooms = ["core/src", "extension/kernel/src"];
    return sum([
      await runCheck(context, { what: "eslint", ...nodeTool("eslint/bin/eslint.js", ".") }),
      await runCheck(context, {
        what: "import rules",
        ...nodeTool("dependency-cruiser/bin/dependency-cruise.mjs", "--config", ".dependency-cruiser.cjs", ...rooms),
      }),
      await runCheck(context, { what: "prettier", ...nodeTool("prettier/bin/prettier.cjs", "--check", ".") }),
      await runCheck(context, {
        what: "the pages in docs/api are current",
        program: process.execPath,
        args: [inProject("scripts", "docs.mjs"), "--check"],
      }),
    ]);
  },
};

/** @type {Suite} */
const types = {
  name: "types",
  run: async (context) =>
    sum([
      await runCheck(context, { what: "tsc -b", ...nodeTool("typescript/bin/tsc", "-b") }),
      await runCheck(context, { what: "tsc -p scripts", ...nodeTool("typescript/bin/tsc", "-p", "scripts") }),
    ]),
};

/** @type {Suite} */
const scripts = {
  name: "scripts",
  run: async (context) => {
    const report = path.join(context.scratch, "node.xml");
    const folder = inProject("scripts", "test");
    const files = fs.readdirSync(folder).map((name) => path.join(folder, name));
    const run = await runCommand(context, {
      what: "node --test",
      program: process.execPath,
      args: [
        "--test",
        ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
        ...["--test-reporter=junit", `--test-reporter-destination=${report}`],
        ...files,
      ],
    });
    return withCrash(countJunit(readReport(report)), run);
  },
};

/** @type {Suite} */
const core = {
  name: "core",
  run: (context) =>
    runVitest(context, { folder: "core", hosts: true, options: context.coreTests, timeoutMs: 35 * minute }),
};

/** @type {Suite} */
const pythonShim = {
  name: "python",
  run: async (context) => {
    const folder = inProject("python-shim");
    const tool = (/** @type {string[]} */ ...args) => ({
      program: venvPython,
      args: ["-m", ...args],
      cwd: folder,
      env: pythonEnvironment(),
    });
    const report = path.join(context.scratch, "pytest.xml");
    const checks = [
      await runCheck(context, { what: "ruff", ...tool("ruff", "check", ".") }),
      await runCheck(context, { what: "mypy", ...tool("mypy") }),
    ];
    const run = await runCommand(context, {
      what: "pytest",
      // Its tests wait more than they compute.
      ...tool("pytest", "-q", "-n", "2", "--dist=loadfile", `--junit-xml=${report}`),
      timeoutMs: 20 * minute,
    });
    return sum([...checks, withCrash(countJunit(readReport(report)), run)]);
  },
};

/** @type {Suite} */
const kernel = {
  name: "kernel",
  run: async (context) => {
    const folder = inProject("extension", "kernel", "test");
    const env = {
      ...pythonEnvironment(),
      ...stateDirectories(context.scratch),
      JUPYTER_PATH: stockKernel(path.join(context.scratch, "stock")),
    };
    const demo = context.sshd ? await startDemoHosts(context.lifetime, path.join(context.scratch, "demo")) : undefined;
    /** @param {string} what @param {string[]} args @param {NodeJS.ProcessEnv} more @param {boolean} [silent] */
    const pytest = async (what, args, more, silent = false) => {
      const report = path.join(context.scratch, `${what}.xml`);
      const run = await runCommand(context, {
        what,
        program: venvPython,
        args: ["-m", "pytest", "-q", "-p", "no:cacheprovider", `--junit-xml=${report}`, ...args],
        cwd: folder,
        env: { ...env, ...(demo === undefined ? {} : { LAZYCLUSTER_SSH_CONFIG: demo.sshConfig }), ...more },
        timeoutMs: 10 * minute,
        silent,
      });
      return { run, result: countJunit(readReport(report)) };
    };
    const ours = await pytest("conformance", ["conformance.py"], { LAZYCLUSTER_TEST_KERNEL: "lazycluster" });
    // Its failures are no news; only their number is.
    const stock = await pytest("stock", ["conformance.py"], { LAZYCLUSTER_TEST_KERNEL: "stock-tslab" }, true);
    const score = (/** @type {Result} */ { passed, failed }) => `${passed} of ${passed + failed}`;
    say(`  jupyter_kernel_test: ${score(ours.result)} passed; stock tslab: ${score(stock.result)}`);
    const own = await pytest("kernel", ["."], { LAZYCLUSTER_TEST_KERNEL: "lazycluster" });
    return sum([withCrash(ours.result, ours.run), withCrash(own.result, own.run)]);
  },
};

/**
 * A folder for JUPYTER_PATH with a kernel that is tslab without anything of ours.
 * @param {string} folder
 */
function stockKernel(folder) {
  const directory = path.join(folder, "kernels", "stock-tslab");
  fs.mkdirSync(directory, { recursive: true });
  const argv = [
    process.execPath,
    inProject("node_modules", "tslab", "bin", "tslab"),
    "kernel",
    "--config-path={connection_file}",
  ];
  fs.writeFileSync(
    path.join(directory, "kernel.json"),
    JSON.stringify({ argv, display_name: "stock tslab", language: "typescript" }),
  );
  return folder;
}

/** @type {Suite} */
const notebooks = {
  name: "notebooks",
  run: async (context) => {
    const demo = context.sshd ? await startDemoHosts(context.lifetime, path.join(context.scratch, "demo")) : undefined;
    if (demo === undefined)
      return { ...nothing(), skipped: [{ name: "notebooks", reason: "no demo hosts without sshd" }] };
    const report = path.join(context.scratch, "notebooks.json");
    const run = await runCommand(context, {
      what: "notebooks",
      program: venvPython,
      args: [inProject("scripts", "lib", "run_notebooks.py"), "--report", report],
      env: {
        ...pythonEnvironment(),
        LAZYCLUSTER_SSH_CONFIG: demo.sshConfig,
        LAZYCLUSTER_PYTHON: venvPython,
        ...stateDirectories(context.scratch),
      },
      timeoutMs: 10 * minute,
    });
    /** @type {{ ok: boolean }[]} */
    const results = JSON.parse(readReport(report) ?? "[]");
    const passed = results.filter(({ ok }) => ok).length;
    return withCrash({ passed, failed: results.length - passed, skipped: [] }, run);
  },
};

/**
 * What Jupyter and the library keep for the user must not count here, nor be touched.
 * @param {string} scratch
 */
function stateDirectories(scratch) {
  const variables = [
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "IPYTHONDIR",
    "LAZYCLUSTER_STATE_DIR",
  ];
  return Object.fromEntries(
    variables.map((variable) => [variable, fs.mkdtempSync(path.join(scratch, `${variable.toLowerCase()}-`))]),
  );
}

/** @type {Suite} */
const ui = {
  name: "ui",
  run: async (context) => {
    const { lifetime, scratch, chromium } = context;
    const skip = (/** @type {string} */ reason) => ({ ...nothing(), skipped: [{ name: "ui", reason }] });
    if (chromium === undefined) return skip(whyNoChromium());
    const demo = context.sshd ? await startDemoHosts(lifetime, path.join(scratch, "demo")) : undefined;
    if (demo === undefined) return skip("no demo hosts without sshd");
    const [root = "", screenshots = "", temporary = "", stateDirectory = ""] = [
      "files",
      "screenshots",
      "tmp",
      "state",
    ].map((name) => fs.mkdtempSync(path.join(scratch, `${name}-`)));
    const serve = (/** @type {"jupyterlab" | "notebook"} */ program, /** @type {string} */ place) =>
      startJupyter(lifetime, {
        program,
        root,
        place,
        state: path.join(scratch, program),
        environment: { LAZYCLUSTER_SSH_CONFIG: demo.sshConfig, LAZYCLUSTER_STATE_DIR: stateDirectory },
      });
    const servers = [await serve("jupyterlab", "/lab/tree"), await serve("notebook", "/notebooks")];
    const [lab, notebook] = servers;
    const result = await runVitest(context, {
      folder: "ui-tests",
      env: {
        ...process.env,
        // The browser's profiles.
        TMPDIR: temporary,
        LAZYCLUSTER_UI_CHROMIUM: chromium,
        LAZYCLUSTER_UI_LAB: lab?.url,
        LAZYCLUSTER_UI_NOTEBOOK: notebook?.url,
        LAZYCLUSTER_UI_ROOT: root,
        LAZYCLUSTER_UI_SCREENSHOTS: screenshots,
      },
      timeoutMs: 10 * minute,
    });
    if (result.failed > 0) keepScreenshots(screenshots);
    for (const server of servers) await server.end();
    return result;
  },
};

/** @param {string} from what the pages looked like at the end of each test */
function keepScreenshots(from) {
  const kept = inProject("ui-tests", "dist", "screenshots");
  fs.rmSync(kept, { recursive: true, force: true });
  fs.cpSync(from, kept, { recursive: true });
  say(`  What the pages looked like: ${path.relative(projectRoot, kept)}`);
}

/** @type {Suite} */
const start = {
  name: "start",
  run: (context) =>
    runCheck(context, {
      what: "npm start",
      program: "npm",
      args: ["start", "--", "--no-browser", "--check"],
      timeoutMs: 5 * minute,
    }),
};

/**
 * What users do with hosts, as a user who is not root: as root nothing is forbidden, and much goes well that should not.
 * @type {Suite}
 */
const user = {
  name: "user",
  run: async (context) => {
    const why = whyNoOrdinaryUser();
    if (why !== undefined) return { ...nothing(), skipped: [{ name: "user", reason: why }] };
    const { home, wrap, left } = ordinaryUser(context.lifetime);
    const report = path.join(home, "report.json");
    const args = [
      inProject("scripts", "test.mjs"),
      "--no-set-up",
      ...["task", "transfer", "group", "cli/detach"].flatMap((name) => ["--core-tests", `test/${name}`]),
      ...["--report", report],
      ...["core", "notebooks"],
    ];
    const run = await runCommand(context, {
      what: "npm test as an ordinary user",
      ...wrap(process.execPath, args),
      timeoutMs: 20 * minute,
    });
    const result = withCrash(JSON.parse(readReport(report) ?? JSON.stringify(nothing())), run);
    await waitUntil(() => left().length === 0, 10_000);
    const remains = left();
    remains.forEach((line) => say(`  ✗ left behind: ${line}`));
    return remains.length > 0 ? { ...result, failed: result.failed + 1 } : result;
  },
};

export const suites = [lint, types, scripts, core, pythonShim, kernel, notebooks, ui, start, user];
