/** The commands of `%%lazycluster` cells, whose lines below the first are what is run. */
import { Command } from "commander";
import type { PythonOptions } from "./python";

export interface OnOptions {
  on: string;
}

export function cellProgram(body: string, setExitCode: (code: number) => void): Command {
  const program = new Command("lazycluster").description("What the lines below are, and where they run.");
  program
    .command("run")
    .description("the lines below are a shell script, run on hosts at once")
    .requiredOption("--on <hosts>", "names with commas, or all")
    .option("-w, --working-dir <path>", "on the hosts, created when missing (default: a temporary one)")
    .option("--timeout <seconds>", "end it after that")
    .option("--json", "as JSON, at the end")
    .action(async (options: OnOptions & { workingDir?: string; timeout?: string; json?: boolean }) =>
      setExitCode(await (await import("../run-on.js")).runOn(body, options)),
    );
  program
    .command("python")
    .description("the lines below are Python, run on each host; variables persist between cells")
    .requiredOption("--on <hosts>", "names with commas, or all")
    .option("--name <variable>", "the values of the last expression, by host, become this variable of the notebook")
    .option("--session <name>", "variables are those of this session (default: one for the notebook)")
    .option("--python <interpreter>", "Python ≥ 3.6 on the hosts, where the session starts (default: python3)")
    .option("--timeout <seconds>", "end it after that")
    .action(async (options: PythonOptions) => (await import("./python.js")).python(body, options));
  program
    .command("define")
    .description("the lines below are Python functions and classes; they become names of the notebook")
    .action(async () => (await import("./define.js")).define(body));
  for (const command of program.commands) command.exitOverride();
  return program.exitOverride();
}
