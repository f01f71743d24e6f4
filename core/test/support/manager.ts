/** A manager of its own: a Node process that runs a script with this library. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { LIBRARY } from "./lazycluster";

export interface ManagerOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What the script has as `input`. */
  readonly input?: unknown;
  readonly nodeArgs?: readonly string[];
  /** What its command line begins with. */
  readonly enter?: readonly string[];
  readonly uid?: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Manager {
  readonly pid: number;
  /** Resolves when it has ended and all of its output has come. */
  readonly exited: Promise<Exit>;
  private stdout = "";
  private stderr = "";
  private readonly messages: { name: string; data: unknown }[] = [];
  private wake: () => void = () => undefined;
  private over = false;

  constructor(private readonly child: ChildProcess) {
    this.pid = child.pid!;
    child.stderr!.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    createInterface({ input: child.stdout! }).on("line", (line) => {
      if (line.startsWith("\x01")) {
        this.messages.push(JSON.parse(line.slice(1)) as { name: string; data: unknown });
        this.wake();
      } else this.stdout += `${line}\n`;
    });
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        this.over = true;
        this.wake();
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  /** What the script said by `say(name, data)`, the first of that name that was not heard yet. */
  async hear<T = unknown>(name: string, timeoutMs = 15_000): Promise<T> {
    const timer = setTimeout(() => this.wake(), timeoutMs);
    const deadline = Date.now() + timeoutMs;
    try {
      for (;;) {
        const at = this.messages.findIndex((message) => message.name === name);
        if (at >= 0) return this.messages.splice(at, 1)[0]!.data as T;
        if (this.over || Date.now() >= deadline) {
          throw new Error(`the script did not say ${name}; it printed ${this.stdout}\n${this.stderr}`);
        }
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  tell(line: string): void {
    this.child.stdin!.write(`${line}\n`);
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): void {
    this.child.kill(signal);
  }

  /** [bytes] of memory that it holds now; 0 when it is gone. */
  rss(): number {
    return residentBytes(this.pid);
  }

  descriptors(): number {
    return readdirSync(`/proc/${String(this.pid)}/fd`).length;
  }
}

/**
 * Runs the body of an async function. In it are the library's names, `say(name, data)`, `heard()` (the next line that
 * it was told), and `input`. It ends as any script does: when nothing is left to do.
 */
export function startManager(body: string, options: ManagerOptions): Manager {
  const script = `
    const lazycluster = require(${JSON.stringify(LIBRARY)});
    const { Runtime, RuntimeTask, Connection, Environment, bridge, py, pyFile, pyModule } = lazycluster;
    const input = JSON.parse(process.env.LAZYCLUSTER_TEST_INPUT);
    const say = (name, data) => process.stdout.write("\\x01" + JSON.stringify({ name, data: data ?? null }) + "\\n");
    const lines = require("node:readline").createInterface({ input: process.stdin });
    const heard = async () => {
      process.stdin.ref();
      const [line] = await require("node:events").once(lines, "line");
      process.stdin.unref();
      return line;
    };
    process.stdin.unref();
    process.on("unhandledRejection", (error) => { say("unhandled", String(error)); process.exitCode = 99; });
    (async () => { ${body} })().catch((error) => { console.error("script failed:", error); process.exitCode = 98; });
  `;
  const [program, ...args] = [...(options.enter ?? []), process.execPath, ...(options.nodeArgs ?? []), "-e", script];
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...options.env, LAZYCLUSTER_TEST_INPUT: JSON.stringify(options.input ?? null) },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
  child.stdin.on("error", () => undefined);
  return new Manager(child);
}

/** [bytes] of memory that a process of this machine holds now; 0 when it is gone. */
export function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${String(pid)}/status`, "latin1");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
