/** The process of `lazycluster`: one command, its failure as one message, its exit code. */
import { CommanderError } from "commander";
import { LazyclusterError } from "../errors";
import { exitCodeOf } from "./exit-code";
import { CommandFailure, EXIT } from "./output";
import { makeProgram } from "./program";

async function main(): Promise<number> {
  let exitCode = 0;
  const program = makeProgram((code) => (exitCode = code));
  try {
    await program.parseAsync();
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    const debug = process.argv.includes("--debug");
    if (error instanceof CommandFailure) {
      process.stderr.write(`lazycluster: ${error.message}\n`);
      return error.exitCode;
    }
    if (error instanceof LazyclusterError) {
      process.stderr.write(`lazycluster: ${debug ? (error.stack ?? error.message) : error.message}\n`);
      return exitCodeOf(error);
    }
    throw error;
  }
}

// A reader that leaves (`lazycluster logs … | head`) is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

void main().then((code) => {
  process.exitCode = code;
});
