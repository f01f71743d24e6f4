/**
 * Child processes: each in a process group of its own, bounded in time, and ended as a group. Arguments are always a
 * list; no value ever becomes part of a shell command.
 */
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { Stopped } from "./lifetime.mjs";

/** Kept of a child's output, for the error message. */
const tailLines = 60;
const capturedBytes = 8 * 1024 * 1024;

/** A command that failed: what it was, how it ended, the end of its output, and what to do next. */
export class CommandError extends Error {
  /** @param {{ what: string, ending: string, tail: readonly string[], next?: string | undefined }} details */
  constructor({ what, ending, tail, next }) {
    const output = tail.length === 0 ? [] : ["", ...tail.map((line) => `    ${line}`), ""];
    super([`${what} ${ending}.`, ...output, ...(next === undefined ? [] : [next])].join("\n"));
    this.name = "CommandError";
  }
}

/** @param {number} ms */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * @param {() => boolean} condition
 * @param {number} timeoutMs
 */
export async function waitUntil(condition, timeoutMs) {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) return false;
    await sleep(25);
  }
  return true;
}

/** @param {number} pid of the group's leader */
export function isGroupAlive(pid) {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {number} pid of the group's leader
 * @param {NodeJS.Signals} signal
 */
function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended in the meantime.
  }
}

/**
 * SIGTERM to the group, SIGKILL when it is still there after `graceMs`.
 * @param {number} pid
 * @param {number} graceMs
 */
export async function endGroup(pid, graceMs) {
  signalGroup(pid, "SIGTERM");
  if (await waitUntil(() => !isGroupAlive(pid), graceMs)) return;
  signalGroup(pid, "SIGKILL");
  await waitUntil(() => !isGroupAlive(pid), 2000);
}

/**
 * Ends every process that inherited `name=value` in its environment, also those that left the group or whose parent is
 * gone (JupyterLab gives each kernel a session of its own). Linux only: elsewhere the group is all there is.
 * @param {string} name
 * @param {string} value
 */
export async function endMarked(name, value) {
  const marked = () => {
    const wanted = `${name}=${value}`;
    return numericEntries("/proc").filter((pid) => pid !== process.pid && environmentOf(pid).includes(wanted));
  };
  for (const [signal, graceMs] of /** @type {const} */ ([
    ["SIGTERM", 2000],
    ["SIGKILL", 2000],
  ])) {
    const pids = marked();
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended in the meantime.
      }
    }
    await waitUntil(() => marked().length === 0, graceMs);
  }
}

/** @param {string} directory */
function numericEntries(directory) {
  try {
    return fs
      .readdirSync(directory)
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number);
  } catch {
    return [];
  }
}

/** @param {number} pid */
function environmentOf(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/**
 * @typedef {object} RunOptions
 * @property {string} what names the command in messages, such as "npm ci"
 * @property {number} timeoutMs
 * @property {string} [cwd]
 * @property {NodeJS.ProcessEnv} [env]
 * @property {string | ((tail: readonly string[]) => string)} [next] what the user can do when it fails
 * @property {(line: string) => void} [onLine]
 * @property {AbortSignal} [signal]
 */

/**
 * @typedef {object} RunResult
 * @property {number | null} code
 * @property {string} stdout
 * @property {string[]} tail the last lines of stdout and stderr, in order of arrival
 * @property {boolean} timedOut
 */

/**
 * Runs a command to its end, whatever its exit code.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} options
 * @returns {Promise<RunResult>}
 */
export async function capture(command, args, options) {
  if (options.signal?.aborted) throw new Stopped();
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  /** @type {string[]} */
  const tail = [];
  let stdout = "";
  let timedOut = false;
  /** @param {string} line */
  const takeLine = (line) => {
    if (line.trim() === "") return;
    tail.push(line);
    if (tail.length > tailLines) tail.shift();
    options.onLine?.(line);
  };
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream.setEncoding("utf8");
    stream.on("data", (/** @type {string} */ text) => {
      if (stream === child.stdout && stdout.length < capturedBytes) stdout += text;
      const lines = (rest + text).split(/\r?\n|\r/);
      rest = lines.pop() ?? "";
      lines.forEach(takeLine);
    });
    stream.on("end", () => takeLine(rest));
  }

  /** @type {Promise<void> | undefined} */
  let ending;
  const end = () => {
    if (child.pid !== undefined) ending ??= endGroup(child.pid, 5000);
  };
  const timer = setTimeout(() => {
    timedOut = true;
    end();
  }, options.timeoutMs);
  options.signal?.addEventListener("abort", end);
  try {
    const code = await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
      // A process that it left behind may hold its pipes open for ever; what matters is that the command itself has ended.
      child.once("exit", () => {
        const closing = setTimeout(() => [child.stdout, child.stderr].forEach((stream) => stream.destroy()), 2000);
        child.once("close", () => clearTimeout(closing));
      });
    });
    await ending;
    if (options.signal?.aborted) throw new Stopped();
    return { code, stdout, tail, timedOut };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", end);
  }
}

/**
 * Runs a command that must succeed.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} options
 */
export async function run(command, args, options) {
  const { what } = options;
  const next = (/** @type {readonly string[]} */ tail) =>
    typeof options.next === "function" ? options.next(tail) : options.next;
  /** @type {RunResult} */
  let result;
  try {
    result = await capture(command, args, options);
  } catch (error) {
    if (error instanceof Stopped) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError({ what, ending: `could not be started (${reason})`, tail: [], next: next([]) });
  }
  if (result.timedOut) {
    const ending = `did not end within ${Math.round(options.timeoutMs / 1000)} s and was stopped`;
    throw new CommandError({ what, ending, tail: result.tail, next: next(result.tail) });
  }
  if (result.code !== 0) {
    const ending = result.code === null ? "was ended by a signal" : `failed with exit code ${result.code}`;
    throw new CommandError({ what, ending, tail: result.tail, next: next(result.tail) });
  }
  return result;
}

/**
 * The absolute path of an executable, or undefined.
 * @param {string} name
 * @param {readonly string[]} [moreDirectories] looked into after PATH
 */
export function findExecutable(name, moreDirectories = []) {
  const directories = [...(process.env["PATH"] ?? "").split(path.delimiter), ...moreDirectories];
  for (const directory of directories.filter((entry) => path.isAbsolute(entry))) {
    const file = path.join(directory, name);
    try {
      fs.accessSync(file, fs.constants.X_OK);
      if (fs.statSync(file).isFile()) return file;
    } catch {
      // Not here.
    }
  }
  return undefined;
}
