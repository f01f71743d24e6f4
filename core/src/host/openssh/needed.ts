/** What an ssh config can ask for that only OpenSSH's own client does. */
import { existsSync, readFileSync } from "node:fs";
import type { Route } from "../ssh/route";
import type { SshConfig } from "../ssh/config";
import { expandHome } from "../ssh/config-paths";

const OWN_METHODS: readonly string[] = ["publickey", "password", "keyboard-interactive"];

/** What it is, for people; null: nothing. Jump hosts count too: all logins of a way are of one kind. */
export function needsOpenSsh({ config, jump, spec }: Route): string | null {
  const { identityFile } = spec.connection;
  const files = identityFile === undefined ? config.identityFiles : [identityFile].flat().map(expandHome);
  return ofConfig(config) ?? ofKeys(files) ?? (jump === null ? null : needsOpenSsh(jump));
}

/**
 * GSSAPI does not count: distributions switch it on for everybody. Who has nothing else says so by
 * PreferredAuthentications, or by the transport.
 */
function ofConfig(config: SshConfig): string | null {
  const { preferredMethods } = config;
  if (config.proxyCommand !== null) return "ProxyCommand";
  if (config.certificateFiles.length > 0) return "CertificateFile";
  if (config.pkcs11Provider !== null) return "PKCS11Provider";
  if (config.revokedHostKeys !== null) return "RevokedHostKeys";
  if (preferredMethods !== null && !preferredMethods.some((method) => OWN_METHODS.includes(method)))
    return `PreferredAuthentications ${preferredMethods.join(",")}`;
  return null;
}

/** ssh looks for a certificate beside each key by itself, and knows a key on a token by its content. */
function ofKeys(files: readonly string[]): string | null {
  for (const file of files) {
    if (existsSync(`${file}-cert.pub`)) return `the certificate ${file}-cert.pub`;
    if (isOnToken(`${file}.pub`)) return `the hardware key ${file}`;
  }
  return null;
}

function isOnToken(publicFile: string): boolean {
  try {
    return /^sk-(ssh|ecdsa)-/.test(readFileSync(publicFile, "latin1"));
  } catch {
    return false;
  }
}
