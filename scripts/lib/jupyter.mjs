/** JupyterLab and Notebook 7: their settings, their start, and the moment at which they really answer. */
import { spawn } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { venvDirectory, venvPython } from "./paths.mjs";
import { CommandError, endGroup, endMarked, isGroupAlive, sleep } from "./processes.mjs";
import { step } from "./progress.mjs";
import { pythonEnvironment } from "./python.mjs";

/** @typedef {import("./lifetime.mjs").Lifetime} Lifetime */

/**
 * @typedef {object} JupyterServer
 * @property {string} url of the place, with the token
 * @property {(place: string) => Promise<{ status: number, body: string }>} get asks the server, with the token
 * @property {Promise<void>} ended resolves when it has ended by itself
 * @property {(place: string, body: object) => Promise<{ status: number, body: string }>} post likewise
 * @property {string} runtime the folder of what it and its kernels are reached by
 * @property {() => string[]} tail the last lines that it printed
 * @property {() => Promise<void>} end ends it and its kernels; the lifetime does so, too
 */

/**
 * @typedef {object} JupyterOptions
 * @property {Program} [program] JupyterLab, if not said
 * @property {string} root the folder whose files it serves
 * @property {string} place what its URL opens, such as `/lab/tree/first.ipynb`
 * @property {string} state the folder for what Jupyter would write to the user's own
 * @property {NodeJS.ProcessEnv} environment for it and its kernels
 */

/** @typedef {"jupyterlab" | "notebook"} Program a module of .venv */

/** How each is called by people, and in its own settings. */
const programs = {
  jupyterlab: { title: "JupyterLab", application: "LabApp" },
  notebook: { title: "Notebook 7", application: "JupyterNotebookApp" },
};

const firstPort = 8888;
const startTimeoutMs = 60_000;
/** JupyterLab first asks its kernels to end; this is what it gets before it is killed. */
const noAnswer = { status: 0, body: "no answer" };
const graceMs = 10_000;
/** Of `/kernel-<uuid>-ipc-<number>`. */
const socketNameBytes = 60;
/** What Linux and macOS both allow. */
const socketPathBytes = 103;
/** Marks every process that comes from this server, so that none of them stays behind. */
const markName = "LAZYCLUSTER_START_ID";

/** Not asking a new user about news, nor the network about updates, is what anybody would choose for a first look. */
function writeDefaultSettings() {
  const file = path.join(venvDirectory, "share", "jupyter", "lab", "settings", "overrides.json");
  const settings = { "@jupyterlab/apputils-extension:notification": { fetchNews: "false", checkForUpdates: false } };
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, `${JSON.stringify(settings, null, 2)}\n`);
}

/**
 * @param {Lifetime} lifetime
 * @param {JupyterOptions} options
 * @returns {Promise<JupyterServer>}
 */
export function startJupyter(lifetime, { program = "jupyterlab", root, place, state, environment }) {
  const { title, application } = programs[program];
  return step(title, async (onLine) => {
    writeDefaultSettings();
    const runtimeDirectory = privateRuntime(lifetime, path.join(state, "runtime"));
    const token = crypto.randomBytes(24).toString("hex");
    const mark = crypto.randomUUID();
    const args = [
      "-m",
      program,
      "--no-browser",
      ...(process.getuid?.() === 0 ? ["--allow-root"] : []),
      "--ServerApp.ip=127.0.0.1",
      // The server binds the first that is free from here on, and tells which one it was.
      `--ServerApp.port=${firstPort}`,
      "--ServerApp.port_retries=100",
      // Over TCP everybody on the machine could read what cells say: that needs no key. Here they would need the folder.
      "--KernelManager.transport=ipc",
      `--ServerApp.root_dir=${root}`,
      `--${application}.default_url=${place}`,
    ];
    const child = spawn(venvPython, args, {
      cwd: root,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...pythonEnvironment(),
        // Programs of .venv come first, as in an activated environment.
        PATH: [path.join(venvDirectory, "bin"), process.env["PATH"] ?? ""].join(path.delimiter),
        // For the bridge, and for demo hosts, which are this machine.
        LAZYCLUSTER_PYTHON: process.env["LAZYCLUSTER_PYTHON"] || venvPython,
        JUPYTER_CONFIG_DIR: path.join(state, "config"),
        JUPYTER_DATA_DIR: path.join(state, "data"),
        JUPYTER_RUNTIME_DIR: runtimeDirectory,
        IPYTHONDIR: path.join(state, "ipython"),
        // In the environment, because everybody on the machine can read a command line.
        JUPYTER_TOKEN: token,
        [markName]: mark,
        ...environment,
      },
    });
    /** @type {string[]} */
    const tail = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (/** @type {string} */ text) => {
        tail.push(...text.split("\n").filter((line) => line.trim() !== ""));
        tail.splice(0, tail.length - 30);
        onLine(tail.at(-1) ?? "");
      });
    }
    let failure = "";
    /** @type {Promise<void>} */
    const ended = new Promise((resolve) => {
      child.once("error", (error) => {
        failure = error.message;
        resolve();
      });
      child.once("exit", () => resolve());
    });
    const { pid } = child;
    const end = async () => {
      if (pid === undefined) return;
      await endGroup(pid, graceMs);
      await endMarked(markName, mark);
    };
    lifetime.add(end);

    const deadline = Date.now() + startTimeoutMs;
    while (Date.now() < deadline) {
      lifetime.throwIfStopped();
      if (pid === undefined || !isGroupAlive(pid)) break;
      const port = readPort(path.join(runtimeDirectory, `jpserver-${pid}.json`));
      if (port !== undefined && (await ask(port, token, "/api/status"))?.status === 200) {
        return {
          url: `http://127.0.0.1:${port}${place}?token=${token}`,
          get: async (page) => (await ask(port, token, page)) ?? noAnswer,
          post: async (page, body) => (await ask(port, token, page, body)) ?? noAnswer,
          runtime: runtimeDirectory,
          ended,
          tail: () => [...tail],
          end,
        };
      }
      await sleep(100);
    }
    const ending =
      Date.now() < deadline
        ? `ended before it served ${failure}`.trim()
        : `did not answer within ${startTimeoutMs / 1000} s`;
    throw new CommandError({ what: title, ending, tail, next: "Remove .venv and run the same command again." });
  });
}

/**
 * A folder for what only this user may read and connect to. The path of a socket has a limit, so it is another one, which
 * goes with the server, where the project's is too long.
 * @param {Lifetime} lifetime
 * @param {string} wanted
 * @returns {string}
 */
function privateRuntime(lifetime, wanted) {
  if (Buffer.byteLength(wanted) + socketNameBytes <= socketPathBytes) {
    fs.mkdirSync(wanted, { recursive: true, mode: 0o700 });
    // It may have been there before.
    fs.chmodSync(wanted, 0o700);
    return wanted;
  }
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "lc-"));
  lifetime.add(async () => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * The server writes this file once it has bound its port.
 * @param {string} file
 * @returns {number | undefined}
 */
function readPort(file) {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")).port;
  } catch {
    return undefined;
  }
}

/**
 * Directly, not through a proxy that the user's environment may name.
 * @param {number} port
 * @param {string} token
 * @param {string} place
 * @param {object} [content] is posted
 * @returns {Promise<{ status: number, body: string } | undefined>}
 */
function ask(port, token, place, content) {
  return new Promise((resolve) => {
    const headers = { Authorization: `token ${token}`, "Content-Type": "application/json" };
    const method = content === undefined ? "GET" : "POST";
    const request = http.request(
      { host: "127.0.0.1", port, path: place, method, headers, timeout: 20_000 },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (/** @type {string} */ text) => (body += text));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
        response.on("error", () => resolve(undefined));
      },
    );
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(undefined));
    request.end(content === undefined ? undefined : JSON.stringify(content));
  });
}
