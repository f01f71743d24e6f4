/** Decides whether a host is the one that the user knows. ssh2 by itself would accept any key. */

import { createHash } from "node:crypto";
import type { ServerHostKeyAlgorithm } from "ssh2";
import type { EngineFailure } from "../../engine/protocol/failure";
import { fail, type Target } from "../shared/connection-errors";
import { changedHost, changedMeanwhile, revokedHost, unknownHost, type ShownKey } from "./host-key-error";
import { KnownHostsUnreadable, knownHostsName, lookUpKnownHosts, type KnownKey } from "./known-hosts";
import { storeKnownHost } from "./known-hosts-store";
import type { HostKeyPolicy } from "./config";
import type { LogLevel } from "../shared/transport";

export interface HostKeySettings {
  readonly policy: HostKeyPolicy;
  /** New keys go to the first. */
  readonly userFiles: readonly string[];
  readonly globalFiles: readonly string[];
  readonly hostKeyAlias: string | null;
  /** That the ssh config allows. */
  readonly algorithms: readonly string[];
  readonly hashNames: boolean;
}

/** All that ssh2 can verify, in its own order. */
const SUPPORTED: readonly ServerHostKeyAlgorithm[] = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
  "ssh-rsa",
];

export class HostKeyVerifier {
  /** Under which the key is stored. */
  readonly #name: string;
  readonly #files: readonly string[];
  #known: readonly KnownKey[] = [];

  constructor(
    readonly target: Target,
    readonly settings: HostKeySettings,
    readonly log: (level: LogLevel, message: string) => void,
  ) {
    this.#name = settings.hostKeyAlias?.toLowerCase() ?? knownHostsName(target.address, target.port);
    this.#files = [...settings.userFiles, ...settings.globalFiles];
  }

  /**
   * Reads what is known, and gives the algorithms to offer: those of known keys first, as OpenSSH does, or a host
   * that has another kind of key too would look unknown. Rejects EngineFailure.
   */
  async prepare(signal: AbortSignal): Promise<ServerHostKeyAlgorithm[]> {
    this.#known = await this.#lookUp(this.#name, signal);
    const allowed = SUPPORTED.filter(
      (name) => this.settings.algorithms.length === 0 || this.settings.algorithms.includes(name),
    );
    if (allowed.length === 0) {
      throw fail(
        this.target,
        "ERR_INVALID_RUNTIME",
        `the ssh config's HostKeyAlgorithms (${this.settings.algorithms.join(",")}) has none that the transport "ssh2" supports: ${SUPPORTED.join(", ")}.`,
      );
    }
    const knownTypes = new Set(this.#known.filter((key) => key.marker === null).map((key) => key.type));
    const isKnown = (name: ServerHostKeyAlgorithm): boolean =>
      knownTypes.has(name.startsWith("rsa-") ? "ssh-rsa" : name);
    return [...allowed.filter(isKnown), ...allowed.filter((name) => !isKnown(name))];
  }

  /** Null: it is the host. Called before the first byte of the login. */
  async verify(blob: Buffer, signal: AbortSignal): Promise<EngineFailure | null> {
    try {
      return await this.#verify(blob, signal);
    } catch (error) {
      return fail(
        this.target,
        "ERR_HOST_KEY",
        `the host key could not be checked: ${(error as Error).message}`,
        {},
        error,
      );
    }
  }

  /** Of a host that showed one key at its login, and another one at a later key exchange: nobody does that by right. */
  changedMeanwhile(blob: Buffer, before: Buffer): EngineFailure {
    const [file = "~/.ssh/known_hosts"] = this.settings.userFiles;
    return changedMeanwhile(this.target, shown(blob), shown(before), file);
  }

  async #verify(blob: Buffer, signal: AbortSignal): Promise<EngineFailure | null> {
    const isShown = (key: KnownKey): boolean => key.blob.equals(blob);
    let known = this.#known;
    if (!known.some(isShown) && this.settings.hostKeyAlias === null && this.target.port !== 22) {
      // As OpenSSH: where nothing is known of this port, an entry without one vouches for the same key, never against one.
      const isNew = !known.some((key) => key.marker === null);
      const anyPort = await this.#lookUp(knownHostsName(this.target.address, 22), signal);
      known = [...known, ...anyPort.filter((key) => isShown(key) && (isNew || key.marker === "revoked"))];
    }

    const revoked = known.find((key) => key.marker === "revoked" && isShown(key));
    if (revoked) return this.#revoked(blob, revoked);
    const plain = known.filter((key) => key.marker === null);
    if (plain.some(isShown)) return null;
    // A host whose ed25519 key is known and that suddenly has only an RSA key is not a new host.
    const other = plain.find((key) => key.type === keyType(blob)) ?? plain[0];
    if (other) return this.#changed(blob, other);
    if (this.settings.policy === "yes") return this.#unknown(blob, known);
    await this.#accept(blob);
    return null;
  }

  async #lookUp(name: string, signal: AbortSignal): Promise<readonly KnownKey[]> {
    try {
      return await lookUpKnownHosts(name, this.#files, signal);
    } catch (error) {
      if (!(error instanceof KnownHostsUnreadable)) throw error;
      throw fail(
        this.target,
        "ERR_HOST_KEY",
        `the host key cannot be checked, because the known_hosts file ${error.file} cannot be read: ${error.why}. Make it readable, or name another one.`,
        { knownHostsFile: error.file },
        error,
      );
    }
  }

  async #accept(blob: Buffer): Promise<void> {
    const { host } = this.target;
    const [file] = this.settings.userFiles;
    const key = `${keyType(blob)} ${fingerprint(blob)}`;
    if (this.settings.policy === "no") {
      this.log(
        "warn",
        `${host}: StrictHostKeyChecking is off; new host keys are stored, changed ones refused all the same.`,
      );
    }
    if (file === undefined || file === "/dev/null") {
      this.log("warn", `${host}: new host key ${key} accepted, but there is no known_hosts file to store it.`);
      return;
    }
    try {
      await storeKnownHost(file, { name: this.#name, type: keyType(blob), blob, hashed: this.settings.hashNames });
      this.log("info", `${host}: new host key ${key} stored in ${file}.`);
    } catch (error) {
      // As OpenSSH: a home directory that is read-only does not keep anybody from a host that is accepted.
      this.log("warn", `${host}: new host key ${key} accepted, but not stored in ${file}: ${(error as Error).message}`);
    }
  }

  #unknown(blob: Buffer, known: readonly KnownKey[]): EngineFailure {
    const [file = "~/.ssh/known_hosts"] = this.settings.userFiles;
    return unknownHost(this.target, shown(blob), {
      file,
      alias: this.settings.hostKeyAlias === null ? null : this.#name,
      hasAuthority: known.some((key) => key.marker === "cert-authority"),
    });
  }

  #changed(blob: Buffer, { file, line, type, blob: before }: KnownKey): EngineFailure {
    const key = `${type} ${fingerprint(before)}`;
    return changedHost(this.target, shown(blob), { file, line, key, name: this.#name });
  }

  #revoked(blob: Buffer, { file, line }: KnownKey): EngineFailure {
    return revokedHost(this.target, shown(blob), file, `${file}:${line}`);
  }
}

function shown(blob: Buffer): ShownKey {
  return { type: keyType(blob), fingerprint: fingerprint(blob) };
}

/** As OpenSSH prints it. */
export function fingerprint(blob: Buffer): string {
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}

/** The first string of a public key's blob. */
export function keyType(blob: Buffer): string {
  if (blob.length < 4) return "unknown";
  const length = blob.readUInt32BE(0);
  const name = blob.subarray(4, 4 + Math.min(length, 64)).toString("latin1");
  return /^[\w@.-]+$/.test(name) ? name : "unknown";
}
