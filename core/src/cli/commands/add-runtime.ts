import { existsSync } from "fs";
import { homedir } from "os";
import { join, resolve } from "path";
import { EngineFailure, parseHost } from "../../engine/protocol";
import { Environment } from "../../environment";
import { CommandFailure, EXIT, printLine } from "../output";
import { configPath, readConfig, replaceConfig } from "../ssh-config-file";
import { type HostEntry, addHost } from "../ssh-config-text";
import { configuredHosts } from "../../runtime";

export interface AddRuntimeOptions {
  idFile?: string;
  options?: readonly string[];
  config?: string;
}

/** These say for which hosts others count, so they are no options of one. */
const STRUCTURE = ["host", "match", "include"];

/** Writes a host into the ssh config. */
export function addRuntime(name: string, address: string, options: AddRuntimeOptions): void {
  const path = configPath(options.config ?? (Environment.sshConfigFile || null));
  const entry = readEntry(name, address, options);
  if (configuredHosts(path).includes(name)) {
    throw new CommandFailure(
      `${path} has a host ${name} already. Choose another name, or remove it with \`lazycluster delete-runtime ${name}\`.`,
      EXIT.failed,
    );
  }
  const former = readConfig(path);
  replaceConfig(path, former, addHost(former, entry));
  printLine(`Runtime ${name} was added to ${path}. Try it: lazycluster doctor ${name}`);
}

function readEntry(name: string, address: string, options: AddRuntimeOptions): HostEntry {
  refuseControl(name, "The name");
  if (parse(name, "The name").name !== name || /[*?!,"'\\]/.test(name)) {
    throw usage(`${JSON.stringify(name)} is no name for a host: letters, digits, ".", "-" and "_" are.`);
  }
  refuseControl(address, "The address");
  const { user, name: hostname, port } = parse(address, "The address");
  return {
    name,
    hostname,
    user,
    port,
    identityFile: options.idFile === undefined ? null : keyFile(options.idFile),
    options: (options.options ?? []).map(readOption),
  };
}

function parse(text: string, what: string): ReturnType<typeof parseHost> {
  try {
    return parseHost(text);
  } catch (error) {
    if (error instanceof EngineFailure) throw usage(`${what}: ${error.message}`);
    throw error;
  }
}

function keyFile(path: string): string {
  refuseControl(path, "The key file");
  if (path.includes('"')) throw usage(`An ssh config cannot name the key file ${path}: there is a quote in it.`);
  const absolute = path.startsWith("~/") ? join(homedir(), path.slice(2)) : resolve(path);
  if (!existsSync(absolute)) throw usage(`There is no key file ${absolute}. ssh-keygen -t ed25519 makes one.`);
  // A percent sign begins a token there.
  return (path.startsWith("~/") ? path : absolute).replace(/%/g, "%%");
}

function readOption(text: string): readonly [string, string] {
  refuseControl(text, "An option");
  const match = /^([A-Za-z][A-Za-z0-9]*)(?:\s*=\s*|\s+)(\S.*)$/.exec(text.trim());
  if (!match?.[1] || !match[2]) {
    throw usage(`An option is written as in an ssh config, such as "ProxyJump=gate", not ${JSON.stringify(text)}.`);
  }
  if (STRUCTURE.includes(match[1].toLowerCase())) throw usage(`${match[1]} is no option of one host.`);
  return [match[1], match[2]];
}

/** A newline would begin a line of its own in the file. */
function refuseControl(text: string, what: string): void {
  if (/[\0-\x1f\x7f\u2028\u2029]/.test(text)) {
    throw usage(`${what} must not hold control characters or newlines: ${JSON.stringify(text)}.`);
  }
}

function usage(message: string): CommandFailure {
  return new CommandFailure(message, EXIT.usage);
}
