/** What child processes print to the stdout and stderr that they inherit belongs to the cell, too: not to the server's terminal. */
import children, { type ChildProcess } from "child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "fs";
import { syncBuiltinESMExports } from "module";
import { tmpdir } from "os";
import { join } from "path";
import type { StreamName } from "./message";

const STREAMS: readonly StreamName[] = ["stdout", "stderr"];
/** [bytes] */
const PIECE = 64 * 1024;

type Call = (...given: unknown[]) => unknown;
type Options = Readonly<Record<string, unknown>>;

/** Which of the streams the child's stdout, stderr is; null: none of them. */
type Inherited = readonly (StreamName | null)[];

const SYNCHRONOUS = ["execSync", "execFileSync", "spawnSync"] as const;

/** Replaces what starts processes in this process, for good. */
export function showChildren(): void {
  const functions = children as Record<(typeof SYNCHRONOUS)[number] | "spawn", Call>;
  for (const name of SYNCHRONOUS) {
    const start = functions[name];
    functions[name] = (...given) => startSync(start, given);
  }
  const start = functions.spawn;
  functions.spawn = (...given) => startAsync(start, given);
  syncBuiltinESMExports();
}

/** It prints to files, as nothing here can read from a pipe meanwhile. */
function startSync(start: Call, given: readonly unknown[]): unknown {
  const inherited = inheritedBy(given);
  if (!inherited) return start(...given);
  const folder = mkdtempSync(join(tmpdir(), "lazycluster-"));
  const files: (number | null)[] = [];
  try {
    for (const [index, name] of inherited.entries()) {
      files.push(name === null ? null : openSync(join(folder, String(index)), "w+", 0o600));
    }
    return start(...withStdio(given, (entry, index) => files[index] ?? entry));
  } finally {
    rmSync(folder, { recursive: true, force: true });
    inherited.forEach((name, index) => {
      const file = files[index];
      if (name !== null && typeof file === "number") copyOut(file, name);
    });
  }
}

function copyOut(file: number, name: StreamName): void {
  try {
    const piece = Buffer.alloc(PIECE);
    let at = 0;
    for (;;) {
      const length = readSync(file, piece, 0, PIECE, at);
      if (length === 0) return;
      at += length;
      process[name].write(Buffer.from(piece.subarray(0, length)));
    }
  } finally {
    closeSync(file);
  }
}

function startAsync(start: Call, given: readonly unknown[]): unknown {
  const inherited = inheritedBy(given);
  if (!inherited) return start(...given);
  const child = start(...withStdio(given, (entry, index) => (inherited[index] ? "pipe" : entry))) as ChildProcess;
  inherited.forEach((name, index) => {
    if (name === null) return;
    child[STREAMS[index] ?? "stdout"]?.on("data", (data: Buffer) => void process[name].write(data));
    // As where it inherits.
    child[STREAMS[index] ?? "stdout"] = null;
  });
  return child;
}

/** Null: none. */
function inheritedBy(given: readonly unknown[]): Inherited | null {
  const { stdio, detached } = optionsOf(given) ?? {};
  // What outlives the kernel would lose its pipe.
  if (detached === true) return null;
  const inherited = STREAMS.map((own, index) => {
    const entry = entryOf(stdio, index);
    if (entry === "inherit") return own;
    return STREAMS.find((name, at) => entry === at + 1 || entry === process[name]) ?? null;
  });
  return inherited.some((name) => name !== null) ? inherited : null;
}

function entryOf(stdio: unknown, index: number): unknown {
  return Array.isArray(stdio) ? (stdio as unknown[])[index + 1] : stdio;
}

function withStdio(given: readonly unknown[], change: (entry: unknown, index: number) => unknown): unknown[] {
  const options = optionsOf(given);
  const { stdio } = options ?? {};
  const [input, rest] = Array.isArray(stdio) ? [(stdio as unknown[])[0], (stdio as unknown[]).slice(3)] : [stdio, []];
  const changed = STREAMS.map((_, index) => change(entryOf(stdio, index), index));
  return given.map((value) => (value === options ? { ...options, stdio: [input, ...changed, ...rest] } : value));
}

function optionsOf(given: readonly unknown[]): Options | undefined {
  return given.find((value) => typeof value === "object" && value !== null && !Array.isArray(value)) as
    Options | undefined;
}
