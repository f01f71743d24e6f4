import type { DemoLayout, HostLayout } from "./layout";
import { DemoError } from "./error";

export interface SshdSettings {
  readonly port: number;
  readonly user: string;
  readonly isRoot: boolean;
  /** A locked account (`!` in the shadow file) is only let in through PAM. */
  readonly isLocked: boolean;
}

/** A value in an ssh or sshd configuration file, which knows quotes but has no way to write one inside. */
function quoted(value: string): string {
  if (/["\\\u0000-\u001f]/.test(value)) {
    throw new DemoError(
      `The ssh configuration cannot hold the path ${JSON.stringify(value)}: it has a quote, a backslash or a control ` +
        "character. Set LAZYCLUSTER_DEMO_DIR to another directory.",
    );
  }
  return `"${value}"`;
}

/** Where OpenSSH expands `%h` and its like, a percent sign is written twice. */
const quotedPattern = (value: string): string => quoted(value.replaceAll("%", "%%"));

/**
 * sshd is told that HOME is the host's own directory; from there the forced command starts the login script, which goes
 * on to `home`. So neither the user's own start-up files are read, nor those of `home` twice.
 */
export function sshdConfig(host: HostLayout, { port, user, isRoot, isLocked }: SshdSettings): string {
  return `# Written by \`lazycluster demo up\`.
ListenAddress 127.0.0.1
Port ${port}
HostKey ${quoted(host.hostKey)}
PidFile ${quoted(host.pidFile)}

AllowUsers ${quoted(user)}
AuthorizedKeysFile ${quotedPattern(host.authorizedKeys)}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin ${isRoot ? "yes" : "no"}
UsePAM ${isRoot && isLocked ? "yes" : "no"}
# The directory may lie in a folder that others can write to; what is in it is checked by its own modes.
StrictModes no

SetEnv ${quoted(`HOME=${host.directory}`)}
ForceCommand exec /bin/sh "$HOME/login.sh"
PermitUserRC no
PrintMotd no
PrintLastLog no
UseDNS no
`;
}

export const loginScript = `# Started by sshd for every session, in place of the command: gives the host a home directory of its own.
HOME=$HOME/home
export HOME
cd "$HOME" || exit 1
unset OLDPWD
if [ "\${SSH_ORIGINAL_COMMAND+set}" ]; then
  command=$SSH_ORIGINAL_COMMAND
  unset SSH_ORIGINAL_COMMAND
  exec "$SHELL" -c "$command"
fi
exec "$SHELL" -l
`;

export interface HostEntry {
  readonly name: string;
  readonly port: number;
  /** First two fields of the public key file. */
  readonly publicKey: string;
}

export function sshConfig(demo: DemoLayout, user: string, hosts: readonly HostEntry[]): string {
  const entries = hosts.map(
    ({ name, port }) => `
Host ${name}
  HostName 127.0.0.1
  Port ${port}
  User ${quoted(user)}
  IdentityFile ${quotedPattern(demo.userKey)}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${quotedPattern(demo.knownHosts)}
  StrictHostKeyChecking yes
`,
  );
  return `# Written by \`lazycluster demo up\`; use it with \`ssh -F\` or LAZYCLUSTER_SSH_CONFIG.\n${entries.join("")}`;
}

export const knownHosts = (hosts: readonly HostEntry[]): string =>
  hosts.map(({ port, publicKey }) => `[127.0.0.1]:${port} ${publicKey}\n`).join("");
