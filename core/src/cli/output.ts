/** What commands print: people get tables, `--json` gets data; in a notebook the cell gets both. */
import { columns } from "../display";
import { type CommandOutput, notebookCommand } from "./context";

/** Ends a command with a message and an exit code (docs/cli.md). */
export class CommandFailure extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message);
  }
}

export const EXIT = { failed: 1, usage: 2, hostUnusable: 255, interrupted: 130 } as const;

const terminal: CommandOutput = {
  line: (text) => void process.stdout.write(`${text}\n`),
  table: (head, rows) => {
    for (const line of columns([head, ...rows])) terminal.line(line);
  },
  data: (value) => terminal.line(JSON.stringify(value, null, 2)),
};

function output(): CommandOutput {
  return notebookCommand()?.output ?? terminal;
}

export function printLine(text: string): void {
  output().line(text);
}

export function printJson(value: unknown): void {
  output().data(value);
}

export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  output().table(head, rows);
}
