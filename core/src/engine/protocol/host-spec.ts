/** Which host, and how to get there: plain data, checked by the library before it is sent. */

export type Transport = "ssh2" | "openssh" | "local";

/** The public ConnectionOptions without the prompt callback. What is left out comes from the ssh config. */
export interface ConnectionSettings {
  readonly user?: string;
  readonly port?: number;
  readonly identityFile?: string | readonly string[];
  readonly passphrase?: string;
  readonly password?: string;
  readonly agent?: string | false;
  readonly proxyJump?: string;
  readonly knownHostsFile?: string | readonly string[];
  readonly strictHostKeyChecking?: "yes" | "accept-new";
  /** [ms] until login is through, and again until the agent runs. */
  readonly connectTimeoutMs?: number;
  /** [ms] between probes; a host that misses three is lost; 0: none. */
  readonly keepaliveIntervalMs?: number;
}

export interface HostSpec {
  /** As the user wrote it: an ssh-config alias, `user@host:port` or `localhost`. */
  readonly host: string;
  readonly transport: Transport | null;
  readonly connection: ConnectionSettings;
  /** Names the library's prompt callback; null: nobody can be asked. Part of a connection's identity. */
  readonly promptId: number | null;
  /** Interpreter for the agent, a path or command on the host. */
  readonly python: string;
  readonly loginEnv: boolean;
  /** [ms] */
  readonly leaseMs: number;
  /** Null: the user's own. */
  readonly sshConfigFile: string | null;
  /** Log every packet of the ssh protocol, at debug level. */
  readonly traceProtocol: boolean;
}

/** A question to the user, for a login. */
export interface PromptRequest {
  readonly kind: "password" | "passphrase" | "keyboard-interactive";
  readonly host: string;
  readonly user: string;
  readonly instructions: string;
  readonly prompts: readonly { readonly text: string; readonly echo: boolean }[];
}
