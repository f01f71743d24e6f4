import type { HostProcess } from "./processes";
import type { RunResult } from "./run";

export interface HostsOptions {
  /** Default 1; at most 240. */
  readonly count?: number;
  /** Lines of sshd_config; each replaces our own lines for the same option. */
  readonly sshdConfig?: readonly string[];
  /** Whom the alias logs in as; default `root` where the tests run as root. */
  readonly user?: "root" | "ordinary";
  /** The user's login shell; a script becomes an executable file. Default /bin/bash. */
  readonly shell?: string | { readonly script: string };
  /** For PasswordAuthentication, which `sshdConfig` must switch on. */
  readonly password?: string;
  /** More lines of authorized_keys. */
  readonly authorizedKeys?: readonly string[];
  /** Makes this machine's pyenv interpreters usable on the hosts, below `PYTHONS`. */
  readonly pythons?: boolean;
  /** Folders of this machine that the hosts see at the same place, read-only; elsewhere a host has its own homes and /tmp. */
  readonly shared?: readonly string[];
  /** `PATH` of the sessions; default: the system's directories. */
  readonly path?: string;
  /** More variables of the sessions, of plain letters. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface TestHost {
  /** `host-1`, …: the name in `TestHosts.configFile`. */
  readonly alias: string;
  readonly address: string;
  readonly port: number;
  readonly user: string;
  /** Of the user, on the host. */
  readonly home: string;
  /** On this machine: `home`, `tmp` (the host's /tmp), `sshd.log`, `authorized_keys`, … */
  readonly dir: string;
  /** Of the listener, as this machine sees it. */
  readonly sshdPid: number;
  /** Runs a program on the host, as its user, not over ssh. */
  exec(argv: readonly string[], options?: { readonly asRoot?: boolean; readonly input?: string }): Promise<RunResult>;
  /** Of this host only; without sshd, its sessions and the namespace's init. */
  processes(): Promise<HostProcess[]>;
  /** Of sshd: listener and sessions. */
  sshdProcesses(): Promise<HostProcess[]>;
  /** Pulls the cable out: nothing arrives, nobody is told. Needs `canIsolate`. */
  linkDown(): Promise<void>;
  linkUp(): Promise<void>;
  /** Ends the listener; sessions go on. */
  stopSshd(): Promise<void>;
  startSshd(): Promise<void>;
  /** Gives the host new keys, as a machine that was installed anew. The known_hosts file stays as it was. */
  rotateHostKey(): Promise<void>;
  /** Mounts a small file system on the host. Needs `canIsolate`. */
  mountTmpfs(path: string, sizeKiB: number, options?: { readonly readonly?: boolean }): Promise<void>;
}

export interface TestHosts {
  /** An ssh_config: `ssh -F configFile host-1` logs in. */
  readonly configFile: string;
  readonly knownHostsFile: string;
  /** The private key that every host accepts. */
  readonly identityFile: string;
  readonly dir: string;
  readonly hosts: readonly TestHost[];
  stop(): Promise<void>;
}
