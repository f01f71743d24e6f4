/** The keys that a login may offer, in the order of OpenSSH: agent keys that the config names, other agent keys, files. */

import type { OpenSSHAgent, ParsedKey } from "ssh2";
import { AskOnce, type Asker, type UserPrompt } from "./ask";
import { contentId, readKeyFile, shortPath, unlock, UnusableKey, type KeyFile } from "./key-file";
import type { Ssh2 } from "./ssh2-module";

export interface Identity {
  readonly publicKey: ParsedKey;
  readonly from: "agent" | "file";
  /** For people: the path of a file, the comment of an agent's key. */
  readonly label: string;
  /** Only called when the host wants the key. Rejects with what to tell the user. */
  sign(data: Buffer, hash: string | undefined): Promise<Buffer>;
}

export interface IdentitySettings {
  /** Absolute paths. */
  readonly files: readonly string[];
  /** The user gave them as an option, so they come before what else an agent has. */
  readonly filesAreGiven: boolean;
  readonly identitiesOnly: boolean;
  /** Null: none. */
  readonly agentSocket: string | null;
  readonly passphrase: string | null;
}

export interface Identities {
  readonly offered: readonly Identity[];
  /** What was left out and why: `~/.ssh/id_rsa: missing`. */
  readonly notes: readonly string[];
}

const PASSPHRASE_TRIES = 3;
const AGENT_TIMEOUT_MS = 3_000;

export async function collectIdentities(ssh2: Ssh2, settings: IdentitySettings, asker: Asker): Promise<Identities> {
  const notes: string[] = [];
  const [agentKeys, files] = await Promise.all([
    listAgentKeys(ssh2, settings.agentSocket, notes),
    readKeyFiles(ssh2, settings.files, notes),
  ]);
  const isNamed = (key: ParsedKey): boolean =>
    files.some((file) => file.publicKey !== null && isSame(file.publicKey, key));
  const inAgent = (file: KeyFile): boolean =>
    file.publicKey !== null &&
    agentKeys.some(({ publicKey }) => file.publicKey !== null && isSame(publicKey, file.publicKey));

  const named = agentKeys.filter(({ publicKey }) => isNamed(publicKey));
  const others = settings.identitiesOnly ? [] : agentKeys.filter(({ publicKey }) => !isNamed(publicKey));
  const fromFiles: Identity[] = [];
  for (const file of files) {
    if (file.privateKey === null || inAgent(file)) continue;
    const identity = await fileIdentity(ssh2, file, settings, asker, notes);
    if (identity) fromFiles.push(identity);
  }
  const offered = settings.filesAreGiven ? [...named, ...fromFiles, ...others] : [...named, ...others, ...fromFiles];
  return { offered, notes };
}

async function listAgentKeys(ssh2: Ssh2, socket: string | null, notes: string[]): Promise<Identity[]> {
  if (socket === null) return [];
  const agent = new ssh2.OpenSSHAgent(socket);
  const keys = await new Promise<ParsedKey[]>((resolve) => {
    const giveUp = (why: string): void => {
      notes.push(`ssh agent ${shortPath(socket)}: ${why}`);
      resolve([]);
    };
    const timer = setTimeout(() => giveUp("does not answer"), AGENT_TIMEOUT_MS);
    agent.getIdentities((error, found) => {
      clearTimeout(timer);
      if (error) giveUp("not reachable");
      else resolve((found ?? []) as ParsedKey[]); // OpenSSHAgent gives parsed keys only
    });
  });
  return keys.map((publicKey) => agentIdentity(agent, publicKey));
}

function agentIdentity(agent: OpenSSHAgent, publicKey: ParsedKey): Identity {
  return {
    publicKey,
    from: "agent",
    label: publicKey.comment,
    sign: (data, hash) =>
      new Promise((resolve, reject) => {
        agent.sign(publicKey, data, signingOptions(hash), (error, signature) => {
          if (error || !signature)
            reject(new UnusableKey(`the ssh agent did not sign with ${publicKey.comment || "its key"}`));
          else resolve(signature);
        });
      }),
  };
}

async function readKeyFiles(ssh2: Ssh2, paths: readonly string[], notes: string[]): Promise<KeyFile[]> {
  const read = await Promise.all(
    [...new Set(paths)].map((path) =>
      readKeyFile(ssh2, path).catch((error: unknown) => {
        if (!(error instanceof UnusableKey)) throw error;
        return `${shortPath(path)}: ${error.message}`;
      }),
    ),
  );
  // In the order of the files, whichever was read first.
  notes.push(...read.filter((file): file is string => typeof file === "string"));
  return read.filter((file): file is KeyFile => typeof file !== "string");
}

async function fileIdentity(
  ssh2: Ssh2,
  file: KeyFile,
  settings: IdentitySettings,
  asker: Asker,
  notes: string[],
): Promise<Identity | null> {
  const label = shortPath(file.path);
  let key: Promise<ParsedKey> | undefined;
  const open = (): Promise<ParsedKey> => (key ??= openKey(ssh2, file, settings.passphrase, asker));
  let { publicKey } = file;
  if (publicKey === null) {
    // An old format without a .pub file: it must be unlocked to know what to offer.
    try {
      publicKey = await open();
    } catch (error) {
      if (!(error instanceof UnusableKey)) throw error;
      notes.push(error.message);
      return null;
    }
  }
  return {
    publicKey,
    from: "file",
    label,
    sign: async (data, hash) => {
      const opened = await open();
      const signature: Buffer | Error = opened.sign(data, hash);
      if (signature instanceof Error) throw new UnusableKey(`${label}: ${signature.message}`);
      return signature;
    },
  };
}

/** Rejects UnusableKey: no passphrase, or none that fits; and what `ask` rejects. */
async function openKey(
  ssh2: Ssh2,
  { path, privateKey }: KeyFile,
  passphrase: string | null,
  asker: Asker,
): Promise<ParsedKey> {
  const label = shortPath(path);
  if (privateKey === null) throw new UnusableKey(`${label}: not a private key`);
  const tryWith = (secret: string | null): ParsedKey | null => unlock(ssh2, privateKey.content, secret);
  if (!privateKey.encrypted) return tryWith(null) ?? refuse(`${label}: cannot be read`);

  const byOption = passphrase === null ? null : tryWith(passphrase);
  if (byOption) return byOption;
  if (asker === null) {
    return refuse(
      passphrase === null
        ? `${label}: encrypted; give its passphrase with the option passphrase, use an ssh agent, or give a prompt`
        : `${label}: the option passphrase does not fit`,
    );
  }
  const byPrompt = await passphrases.run(contentId(privateKey.content), asker, () =>
    askPassphrase(label, tryWith, asker),
  );
  return byPrompt ?? refuse(`${label}: no passphrase fitted`);
}

async function askPassphrase(
  label: string,
  tryWith: (secret: string) => ParsedKey | null,
  asker: UserPrompt,
): Promise<ParsedKey | null> {
  for (let tries = 0; tries < PASSPHRASE_TRIES; tries++) {
    const secret = await asker.askSecret("passphrase", `Passphrase for ${label}: `);
    if (secret === null) return null;
    const key = tryWith(secret);
    if (key) return key;
  }
  return null;
}

/** By the content of a key file. */
const passphrases = new AskOnce<ParsedKey | null>();

function isSame(one: ParsedKey, other: ParsedKey): boolean {
  return one.getPublicSSH().equals(other.getPublicSSH());
}

function signingOptions(hash: string | undefined): { hash?: "sha256" | "sha512" } {
  return hash === "sha256" || hash === "sha512" ? { hash } : {};
}

function refuse(why: string): never {
  throw new UnusableKey(why);
}
