/** Keys and ssh configs of the test hosts. */

import { readFile } from "node:fs/promises";
import { must } from "./run";

export async function makeKey(
  file: string,
  options: { type?: string; passphrase?: string; comment?: string } = {},
): Promise<string> {
  const { type = "ed25519", passphrase = "", comment = "test" } = options;
  const bits = type === "rsa" ? ["-b", "2048"] : [];
  await must("ssh-keygen", ["-q", "-t", type, ...bits, "-N", passphrase, "-C", comment, "-f", file]);
  return file;
}

/** `type base64` of the public half. */
export async function publicKey(file: string): Promise<string> {
  const [type = "", base64 = ""] = (await readFile(`${file}.pub`, "utf8")).split(" ");
  return `${type} ${base64.trim()}`;
}

export function knownHostsLines(address: string, port: number, keys: readonly string[]): string {
  const name = port === 22 ? address : `[${address}]:${port}`;
  return keys.map((key) => `${name} ${key}\n`).join("");
}

export interface SshdSettings {
  /** As sshd sees it. */
  readonly dir: string;
  readonly address: string;
  readonly port: number;
  /** Each takes the place of our own lines for the same option. (sshd mostly takes the first value, but not always.) */
  readonly extra: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export function sshdConfig({ dir, address, port, extra, env }: SshdSettings): string {
  const keyword = (line: string): string => line.trim().split(/\s+/, 1)[0]!.toLowerCase();
  const given = new Set(extra.map(keyword));
  const ours = [
    `ListenAddress ${address}`,
    `Port ${port}`,
    `HostKey ${dir}/host_ed25519`,
    `HostKey ${dir}/host_rsa`,
    `AuthorizedKeysFile ${dir}/authorized_keys`,
    "StrictModes no",
    "PermitRootLogin yes",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "UseDNS no",
    "PidFile none",
    "PrintMotd no",
    "PrintLastLog no",
    "MaxStartups 100:30:200",
    `SetEnv ${Object.entries(env)
      .map(([name, value]) => `${name}=${value}`)
      .join(" ")}`,
    "Subsystem sftp internal-sftp",
    "LogLevel VERBOSE",
  ];
  return [...extra, ...ours.filter((line) => !given.has(keyword(line))), ""].join("\n");
}

export function aliasConfig(alias: string, options: Readonly<Record<string, string>>): string {
  const lines = Object.entries(options).map(([name, value]) => `  ${name} ${value}\n`);
  return `Host ${alias}\n${lines.join("")}\n`;
}
