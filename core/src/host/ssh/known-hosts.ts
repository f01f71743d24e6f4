/** What the known_hosts files say about a host. `ssh-keygen -F` reads them: it knows hashes, patterns and markers. */

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { runTool } from "./tool";

export interface KnownKey {
  readonly marker: "revoked" | "cert-authority" | null;
  /** Such as `ssh-ed25519`. */
  readonly type: string;
  readonly blob: Buffer;
  readonly file: string;
  readonly line: number;
}

/** A file that cannot be asked. It might hold a revoked key, so nobody may be trusted without it. */
export class KnownHostsUnreadable extends Error {
  override readonly name = "KnownHostsUnreadable";
  constructor(
    readonly file: string,
    readonly why: string,
  ) {
    super(`${file}: ${why}`);
  }
}

const LOOKUP_TIMEOUT_MS = 5_000;

/** The name under which OpenSSH stores a host: with the port where that is not 22. */
export function knownHostsName(address: string, port: number): string {
  const name = address.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** All entries that match the name, in the order of the files; missing files are empty. Rejects KnownHostsUnreadable. */
export async function lookUpKnownHosts(
  name: string,
  files: readonly string[],
  signal: AbortSignal,
): Promise<readonly KnownKey[]> {
  const perFile = await Promise.all(files.map((file) => lookUpInFile(name, file, signal)));
  return perFile.flat();
}

async function lookUpInFile(name: string, file: string, signal: AbortSignal): Promise<readonly KnownKey[]> {
  if (!(await holdsEntries(file))) return [];
  let result;
  try {
    result = await runTool("ssh-keygen", ["-F", name, "-f", file], { signal, timeoutMs: LOOKUP_TIMEOUT_MS });
  } catch (error) {
    throw new KnownHostsUnreadable(file, `ssh-keygen, which reads it, does not start: ${(error as Error).message}`);
  }
  // 1 is "no such host", which a file without any valid line gives too.
  if (result.code === 0 || result.code === 1) return parseFound(result.stdout, file);
  const why = result.timedOut ? "ssh-keygen did not answer" : result.stderr.trim() || "ssh-keygen failed";
  throw new KnownHostsUnreadable(file, why);
}

/** ssh-keygen says "not found" for a directory and for some unreadable files too, so these are told apart first. */
async function holdsEntries(file: string): Promise<boolean> {
  try {
    const status = await stat(file);
    if (status.isCharacterDevice()) return false; // /dev/null, a common way to say "none"
    if (!status.isFile()) throw new KnownHostsUnreadable(file, "it is not a file");
    await access(file, constants.R_OK);
    return status.size > 0;
  } catch (error) {
    if (error instanceof KnownHostsUnreadable) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return false;
    throw new KnownHostsUnreadable(file, code === "EACCES" ? "permission denied" : (error as Error).message);
  }
}

/** Each entry is a comment with its line number, then the line as it is in the file. */
export function parseFound(output: string, file: string): readonly KnownKey[] {
  const found: KnownKey[] = [];
  let line = 0;
  for (const text of output.split("\n")) {
    const header = /^# Host .* found: line (\d+)/.exec(text);
    if (header) {
      line = Number(header[1]);
      continue;
    }
    if (line === 0) continue;
    const key = parseEntry(text, file, line);
    if (key) found.push(key);
    line = 0;
  }
  return found;
}

function parseEntry(text: string, file: string, line: number): KnownKey | null {
  const words = text.trim().split(/\s+/);
  const mark = words[0]?.startsWith("@") === true ? words.shift() : undefined;
  const [, type, base64] = words;
  if (type === undefined || base64 === undefined) return null;
  const blob = Buffer.from(base64, "base64");
  switch (mark) {
    case undefined:
      return { marker: null, type, blob, file, line };
    case "@revoked":
      return { marker: "revoked", type, blob, file, line };
    case "@cert-authority":
      return { marker: "cert-authority", type, blob, file, line };
    default:
      return null;
  }
}
