/** `lazycluster` as a user calls it: a process of its own. */
import { type ChildProcess, spawn } from "child_process";
import { join } from "path";
import { eventually } from "../support";

const PROGRAM = join(__dirname, "..", "..", "bin", "lazycluster.js");

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}
export interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly stdout: () => string;
  /** Resolves when it has printed the text. */
  readonly printed: (text: string) => Promise<void>;
}
export type Start = (...args: string[]) => Program;

/**
 * @param env asked at each start
 * @param enter what the command line begins with
 */
export function starter(env: () => Readonly<Record<string, string>>, enter: () => readonly string[] = () => []): Start {
  return (...args) => {
    const [program, ...words] = [...enter(), process.execPath, PROGRAM, ...args];
    const child = spawn(program!, words, { env: { ...process.env, ...env() } });
    let stdout = "";
    let stderr = "";
    let over = false;
    child.stdin.on("error", () => undefined).end();
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const ended = new Promise<Ended>((resolve) =>
      child.on("close", (code) => {
        over = true;
        resolve({ code, stdout, stderr });
      }),
    );
    const printed = async (text: string): Promise<void> => {
      await eventually(() => stdout.includes(text) || over, 30_000, `lazycluster ${args.join(" ")} printed no ${text}`);
      if (!stdout.includes(text)) throw new Error(`it ended without printing ${text}: ${stderr}`);
    };
    return { child, ended, stdout: () => stdout, printed };
  };
}
