/** Private keys in files. The public half is read first: a key that the host does not want is never unlocked. */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import type { ParsedKey } from "ssh2";
import type { Ssh2 } from "./ssh2-module";

/** Why a file gives no key, for the error that ends a login. */
export class UnusableKey extends Error {
  override readonly name = "UnusableKey";
}

export interface KeyFile {
  readonly path: string;
  /** Null: an old format that hides it, without a `.pub` file beside it. */
  readonly publicKey: ParsedKey | null;
  /** Null: `path` is a public key, for an ssh agent that has the other half. */
  readonly privateKey: { readonly content: Buffer; readonly encrypted: boolean } | null;
}

/** Rejects UnusableKey. */
export async function readKeyFile(ssh2: Ssh2, path: string): Promise<KeyFile> {
  const content = await readFile(path).catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code;
    throw new UnusableKey(
      code === "ENOENT" ? "missing" : code === "EACCES" ? "permission denied" : (error as Error).message,
    );
  });
  const key = parse(ssh2, content);
  if (!(key instanceof Error)) {
    return { path, publicKey: key, privateKey: key.isPrivateKey() ? { content, encrypted: false } : null };
  }
  if (!/encrypted/i.test(key.message)) throw new UnusableKey(explainUnsupported(content, key));
  const publicKey = publicHalf(ssh2, content) ?? (await readPublicFile(ssh2, `${path}.pub`));
  return { path, publicKey, privateKey: { content, encrypted: true } };
}

/** The key ready to sign, or null: the passphrase is wrong. Throws UnusableKey. */
export function unlock(ssh2: Ssh2, content: Buffer, passphrase: string | null): ParsedKey | null {
  const memo = createHash("sha256")
    .update(content)
    .update("\0")
    .update(passphrase ?? "")
    .digest("base64");
  const known = unlocked.get(memo);
  if (known) return known;
  const key = parse(ssh2, content, passphrase ?? undefined);
  if (key instanceof Error) {
    if (/passphrase|decrypt|integrity/i.test(key.message)) return null;
    throw new UnusableKey(explainUnsupported(content, key));
  }
  unlocked.set(memo, key);
  return key;
}

/**
 * Unlocking takes a quarter of a second of computing by design of the format. A group of hosts has one key, so it
 * must not take that for each of them; the memo also serves reconnects.
 */
const unlocked = new Map<string, ParsedKey>();

export function contentId(content: Buffer): string {
  return createHash("sha256").update(content).digest("base64");
}

/** As the user would write it. */
export function shortPath(path: string): string {
  const home = homedir();
  return path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}

function parse(ssh2: Ssh2, content: Buffer | string, passphrase?: string): ParsedKey | Error {
  const keys = ssh2.utils.parseKey(content, passphrase) as ParsedKey | Error | ParsedKey[];
  return Array.isArray(keys) ? (keys[0] ?? new Error("Unsupported key format")) : keys;
}

async function readPublicFile(ssh2: Ssh2, path: string): Promise<ParsedKey | null> {
  const content = await readFile(path).catch(() => null);
  const key = content === null ? null : parse(ssh2, content);
  return key instanceof Error ? null : key;
}

const OPENSSH_PEM = /^-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]+)-----END OPENSSH PRIVATE KEY-----/;

/** OpenSSH's own format (`openssh-key-v1`: cipher, kdf, kdf options, count, public key, …) has it in plain text. */
function publicHalf(ssh2: Ssh2, content: Buffer): ParsedKey | null {
  const body = Buffer.from(OPENSSH_PEM.exec(content.toString("latin1").trim())?.[1] ?? "", "base64");
  let at = "openssh-key-v1\0".length;
  const next = (): Buffer => {
    const end = at + 4 + body.readUInt32BE(at);
    const value = body.subarray(at + 4, end);
    at = end;
    return value;
  };
  try {
    next(); // cipher
    next(); // key derivation
    next(); // its options
    at += 4; // number of keys, always one
    const blob = next();
    const type = blob.subarray(4, 4 + blob.readUInt32BE(0)).toString("latin1");
    const key = parse(ssh2, `${type} ${blob.toString("base64")}`);
    return key instanceof Error ? null : key;
  } catch {
    return null; // another format, or cut short
  }
}

function explainUnsupported(content: Buffer, error: Error): string {
  const text = content.subarray(0, 64 * 1024).toString("latin1");
  const body = Buffer.from(OPENSSH_PEM.exec(text.trim())?.[1] ?? "", "base64").toString("latin1");
  if (/\bsk-(ssh|ecdsa)-/.test(text) || /sk-(ssh|ecdsa)-/.test(body)) {
    return 'a key on a hardware token, which the transport "ssh2" cannot use';
  }
  if (/-cert-v01@openssh\.com/.test(text)) return 'a certificate, which the transport "ssh2" cannot use';
  if (/BEGIN (ENCRYPTED )?PRIVATE KEY/.test(text))
    return "a PKCS#8 key; ssh-keygen -p -f FILE rewrites it in OpenSSH's format";
  return error.message === "Unsupported key format" ? "not a private key" : error.message;
}
