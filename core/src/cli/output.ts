/** What commands print: people get tables, `--json` gets data. */
import { columns } from "../display";

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

export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  printLine(JSON.stringify(value, null, 2));
}

export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  for (const line of columns([head, ...rows])) printLine(line);
}
