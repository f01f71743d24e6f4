/** What may stand at the end of a magic line: commands, options, choices, hosts. From the table of commands alone. */
import type { Command } from "commander";
import { Environment } from "../../environment";
import { configuredHosts } from "../../runtime";

export interface Candidates {
  readonly matches: readonly string[];
  readonly start: number;
  readonly end: number;
}

/** @param line what comes after the magic's name, up to the cursor. */
export function candidates(program: Command, line: string): Candidates {
  const word = /(\S*)$/.exec(line)?.[1] ?? "";
  const before = line
    .slice(0, line.length - word.length)
    .split(/\s+/)
    .filter(Boolean);
  const from = word.lastIndexOf(",") + 1;
  const prefix = word.slice(from);
  const start = line.length - prefix.length;
  const found = words(program, before, word).filter((match) => match.startsWith(prefix));
  return { matches: [...new Set(found)].sort(), start, end: line.length };
}

function words(program: Command, before: readonly string[], word: string): string[] {
  // Behind it stands a command for a host.
  if (before.includes("--")) return [];
  let command = program;
  let left = [...before];
  while (left[0] !== undefined) {
    const next = command.commands.find((candidate) => candidate.name() === left[0]);
    if (!next) break;
    command = next;
    left = left.slice(1);
  }
  const visible = command.createHelp().visibleCommands(command);
  if (command.commands.length > 0 && left.length === 0 && !word.startsWith("-"))
    return visible.map((found) => found.name());
  const last = left.at(-1);
  const option = command.options.find(({ short, long }) => last !== undefined && (short === last || long === last));
  if (option && (option.required || option.optional)) {
    return option.argChoices ?? (TAKES_HOSTS.test(option.flags) ? hosts() : []);
  }
  if (word.startsWith("-")) {
    const options = command.createHelp().visibleOptions(command);
    return options.flatMap(({ long, short }) => [long ?? [], short ?? []].flat());
  }
  const position = left.filter((text) => !text.startsWith("-")).length;
  const argument = command.registeredArguments[position] ?? command.registeredArguments.at(-1);
  if (argument?.argChoices) return argument.argChoices;
  return argument && /^hosts?$/.test(argument.name()) ? hosts() : [];
}

const TAKES_HOSTS = /<hosts?>|--on\b|--group\b/;

function hosts(): string[] {
  return [...configuredHosts(Environment.sshConfigFile || null), "all", "localhost"];
}
