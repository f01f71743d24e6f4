/* eslint-disable @typescript-eslint/no-require-imports */
/** How each planned step is composed, and what it must print and give. */
import { join } from "node:path";
import { type RuntimeTaskType, jsFunction, py, pyFile } from "../support";
import { bytesOf, makeFile, makeTree, sha256 } from "./bytes";
import type { StepPlan, TaskPlan } from "./plan";

/** What a step needs to know of its surroundings. */
export interface Surroundings {
  /** Where local files to send are made. */
  readonly sources: string;
  /** Where fetched files go. */
  readonly fetched: string;
  /** On the host: a line for each step that started. */
  readonly ledger: string;
  /** Of the functions that come from a file. */
  readonly functions: string;
}

/** How a step may end by itself. */
export type Natural = "done" | "failed" | "timeout";

export interface Expected {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly natural: readonly Natural[];
  /** The log is a summary in words, which is not compared. */
  readonly summary: boolean;
}

export const FUNCTIONS = `
import os, sys, time

def work(ledger, id, lines, blob, sleep, end):
    with open(ledger, "a") as file:
        file.write(id + "\\n")
    for number in range(lines):
        print("line %d" % (number + 1))
    sys.stdout.flush()
    time.sleep(sleep / 1000)
    if end == "raise":
        raise ValueError("planned")
    if end == "die":
        os._exit(7)
    return {"id": id, "blob": blob, "lines": lines}
`;

const javaScript = async (
  ledger: string,
  id: string,
  lines: number,
  blob: Uint8Array,
  sleep: number,
  end: string,
): Promise<unknown> => {
  const { appendFileSync } = require("node:fs") as { appendFileSync: (path: string, text: string) => void };
  appendFileSync(ledger, id + "\n");
  for (let number = 1; number <= lines; number++) console.log("line " + String(number));
  await new Promise((resolve) => setTimeout(resolve, sleep));
  if (end === "raise") throw new Error("planned");
  if (end === "die") process.exit(7);
  return { id, blob, lines };
};

/** What a ledger calls the step. */
export function stepId({ name }: Pick<TaskPlan, "name">, index: number): string {
  return `${name}.${index}`;
}

/** Whether it writes into the ledger. */
export function isProcess({ kind }: StepPlan): boolean {
  return !["send", "get", "sendFolder", "getFolder", "syncUp", "syncDown"].includes(kind);
}

export function addStep(task: RuntimeTaskType, step: StepPlan, id: string, around: Surroundings): void {
  const run = (command: string, options: Parameters<RuntimeTaskType["runCommand"]>[1] = {}): unknown =>
    task.runCommand(`echo ${id} >> "$FUZZ_LEDGER"; ${command}`, options);
  const limit = (ms: number | null): { timeoutMs?: number } => (ms === null ? {} : { timeoutMs: ms });
  switch (step.kind) {
    case "lines":
      if (step.pauseMs === 0) run(`seq ${step.count}${step.stderr ? " >&2" : ""}`);
      else run(`for i in $(seq ${step.count}); do echo $i; sleep ${step.pauseMs / 1000}; done`);
      break;
    case "both":
      run(`for i in $(seq ${step.count}); do echo o$i; echo e$i >&2; done`);
      break;
    case "sleep": {
      const sleep = `sleep ${step.ms / 1000}`;
      if (step.how === "bare") run(`exec ${sleep}`, limit(step.limitMs));
      else
        run(`${step.how === "stubborn" ? "trap '' TERM; " : ""}echo begun; ${sleep}; echo slept`, limit(step.limitMs));
      break;
    }
    case "exit":
      run(`echo out; echo err >&2; exit ${step.code}`, { check: step.check });
      break;
    case "signal":
      run(`echo dying; kill -${step.signal} $$; sleep 60`);
      break;
    case "stdin":
      run("exec cat", { stdin: bytesOf(step.bytes, step.seed) });
      break;
    case "pty":
      run(`seq ${step.count}`, { pty: true });
      break;
    case "leave":
      run(`setsid sleep 3600 ${step.quiet ? ">/dev/null 2>&1 " : ""}& echo left`);
      break;
    case "function": {
      const fn = {
        source: () => py(Object.assign([FUNCTIONS], { raw: [FUNCTIONS] })),
        file: () => pyFile(around.functions, "work"),
        js: () => jsFunction(javaScript),
      }[step.language]();
      const blob = bytesOf(step.bytes, step.seed);
      const args = [around.ledger, id, step.lines, blob, step.sleepMs, step.end];
      task.runFunction(fn, {}, { args, ...limit(step.limitMs) });
      break;
    }
    case "send":
      task.sendFile(makeFile(around.sources, step.bytes, step.seed), step.name);
      break;
    case "hash":
      run(`sha256sum ${step.name}`);
      break;
    case "get":
      task.getFile(step.name, join(around.fetched, step.name));
      break;
    case "sendFolder":
      task.sendFile(makeTree(around.sources, step.files, step.seed), step.name);
      break;
    case "getFolder":
      task.getFile(step.name, join(around.fetched, step.name));
      break;
    case "syncUp":
      task.syncFolder(makeTree(around.sources, step.files, step.seed), step.name, { delete: true });
      break;
    case "syncDown":
      task.syncFolder(join(around.fetched, step.name), step.name, { direction: "down", delete: true });
      break;
    case "cell":
      throw new Error("a cell is run by its session");
  }
}

/** The code of a cell of a session. */
export function cellCode(step: Extract<StepPlan, { kind: "cell" }>, id: string, ledger: string): string {
  return `
import time
with open(${JSON.stringify(ledger)}, "a") as file:
    print(${JSON.stringify(id)}, file=file)
try:
    seen
except NameError:
    seen = []
seen.append(${step.number})
print("cell ${step.number}", flush=True)
time.sleep(${step.sleepMs / 1000})
list(seen)
`;
}

export function expectedOf(step: StepPlan): Expected {
  const lines = (count: number, each: (number: number) => string): Buffer =>
    Buffer.from(Array.from({ length: count }, (_, index) => each(index + 1)).join(""));
  const none = Buffer.alloc(0);
  const prints = (stdout: Buffer, more: Partial<Expected> = {}): Expected => ({
    stdout,
    stderr: none,
    natural: ["done"],
    summary: false,
    ...more,
  });
  switch (step.kind) {
    case "lines": {
      const text = lines(step.count, (number) => `${number}\n`);
      return step.stderr ? prints(none, { stderr: text }) : prints(text);
    }
    case "both":
      return prints(
        lines(step.count, (number) => `o${number}\n`),
        { stderr: lines(step.count, (number) => `e${number}\n`) },
      );
    case "sleep": {
      const text = step.how === "bare" ? none : Buffer.from("begun\nslept\n");
      return prints(text, { natural: limited(step.ms, step.limitMs, ["done"]) });
    }
    case "exit":
      return prints(Buffer.from("out\n"), {
        stderr: Buffer.from("err\n"),
        natural: [step.check ? "failed" : "done"],
      });
    case "signal":
      return prints(Buffer.from("dying\n"), { natural: ["failed"] });
    case "stdin":
      return prints(bytesOf(step.bytes, step.seed));
    case "pty":
      return prints(lines(step.count, (number) => `${number}\r\n`));
    case "leave":
      return prints(Buffer.from("left\n"));
    case "function": {
      const natural: Natural[] = [step.end === "value" ? "done" : "failed"];
      return prints(
        lines(step.lines, (number) => `line ${number}\n`),
        { natural: limited(step.sleepMs, step.limitMs, natural) },
      );
    }
    case "hash":
      return prints(Buffer.from(`${sha256(bytesOf(step.bytes, step.seed))}  ${step.name}\n`));
    case "cell":
      return prints(Buffer.from(`cell ${step.number}\n`), { natural: limited(step.sleepMs, step.limitMs, ["done"]) });
    case "syncUp":
    case "syncDown":
      return prints(none, { summary: true });
    case "send":
    case "get":
    case "sendFolder":
    case "getFolder":
      return prints(none);
  }
}

/** [ms] that a limit must be beyond the length of a step, or below it, before we know which of them comes first. */
const CLEAR_MS = 20_000;

function limited(ms: number, limitMs: number | null, natural: readonly Natural[]): readonly Natural[] {
  if (limitMs === null || limitMs > ms + CLEAR_MS) return natural;
  return limitMs < ms - CLEAR_MS ? ["timeout"] : ["timeout", ...natural];
}
