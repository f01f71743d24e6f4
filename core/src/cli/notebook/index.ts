/** `%lazycluster`: the commands of the command line, in cells. */
import { CommanderError, type Command } from "commander";
import type { NotebookHost } from "../../display";
import type { MagicKind, Magics } from "../../notebook/magics";
import { type NotebookCommand, runInNotebook } from "../context";
import { CommandFailure } from "../output";
import { makeProgram } from "../program";
import { cellProgram } from "./cells";
import { CollectedOutput } from "./collected";
import { candidates } from "./complete";
import { splitWords } from "./words";

/** A command of a cell that was wrong, or failed; its message is all that there is to say. */
export class MagicError extends Error {
  override readonly name = "MagicError";
}

interface Ran {
  readonly output: CollectedOutput;
  readonly exitCode: number;
}

export const magics: Magics = {
  async show(line, body, host) {
    const { output, exitCode } = await run(line, body, host);
    const bundle = output.bundle();
    if (bundle) host.display(bundle);
    if (exitCode !== 0) throw new MagicError(`%lazycluster ${line}: exit code ${String(exitCode)}`);
    return output.value;
  },

  async value(line, body, host) {
    const words = splitWords(line);
    const { output } = await run(line, body, host, takesJson(words));
    return output.value === undefined ? output.text : output.value;
  },

  complete: (line, kind) => Promise.resolve(candidates(programOf(kind), line)),

  help(line, kind) {
    const [name] = line.trim().split(/\s+/);
    const main = programOf(kind);
    const command = main.commands.find((found) => found.name() === name) ?? main;
    return Promise.resolve(command.helpInformation());
  },
};

/** The commands of a line, or with a body, of a cell. */
function program(body: string | null, setExitCode: (code: number) => void = () => undefined): Command {
  return body === null ? makeProgram(setExitCode) : cellProgram(body, setExitCode);
}

function programOf(kind: MagicKind): Command {
  return program(kind === "line" ? null : "");
}

function takesJson(words: readonly string[]): boolean {
  const command = program(null).commands.find((found) => found.name() === words[0]);
  return command?.options.some(({ long }) => long === "--json") ?? false;
}

async function run(line: string, body: string | null, host: NotebookHost, json = false): Promise<Ran> {
  const output = new CollectedOutput();
  let exitCode = 0;
  let problem = "";
  const commands = program(body, (code) => (exitCode = code));
  const given = splitWords(line);
  const words = given.length === 0 ? ["--help"] : given;
  for (const command of [commands, ...commands.commands]) {
    command.configureOutput({
      writeOut: (text) => output.line(text.trimEnd()),
      writeErr: (text) => (problem += text),
    });
  }
  // Before `--`: behind it, the option would be the command's.
  const [name, ...rest] = words;
  const called = json && name !== undefined && !rest.includes("--json") ? [name, "--json", ...rest] : words;
  const command: NotebookCommand = {
    output,
    signal: host.awaitingCell()?.signal ?? new AbortController().signal,
    undo: [],
  };
  try {
    await runInNotebook(command, async () => commands.parseAsync(called, { from: "user" }));
  } catch (error) {
    // Help ends a command, too.
    if (error instanceof CommanderError && error.exitCode === 0) return { output, exitCode: 0 };
    if (error instanceof CommanderError) throw new MagicError(firstLines(problem) || error.message);
    throw error instanceof CommandFailure ? new MagicError(error.message) : error;
  }
  return { output, exitCode };
}

/** Without the usage that comes behind the message. */
function firstLines(text: string): string {
  return (
    text
      .trim()
      .split("\n\n")[0]
      ?.replace(/^error: /, "") ?? ""
  );
}
