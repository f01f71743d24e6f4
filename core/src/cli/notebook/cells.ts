/** The commands of `%%lazycluster` cells, whose lines below the first are what is run. */
import { Command } from "commander";
import { runOn } from "./run-on";

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
      setExitCode(await runOn(body, options)),
    );
  for (const command of program.commands) command.exitOverride();
  return program.exitOverride();
}
