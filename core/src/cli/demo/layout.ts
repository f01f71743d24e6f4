import { homedir } from "os";
import { isAbsolute, join, resolve } from "path";

/** Where the files of one demo host are. */
export interface HostLayout {
  readonly name: string;
  readonly directory: string;
  readonly home: string;
  readonly hostKey: string;
  readonly sshdConfig: string;
  readonly authorizedKeys: string;
  readonly loginScript: string;
  readonly pidFile: string;
  /** Which process the running sshd is; see `processes.ts`. */
  readonly identity: string;
  readonly log: string;
}

/** Where the files of all demo hosts are. Everything is below one directory; nothing else is written. */
export interface DemoLayout {
  readonly directory: string;
  readonly userKey: string;
  readonly knownHosts: string;
  readonly sshConfig: string;
}

export function demoDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const own = environment["LAZYCLUSTER_DEMO_DIR"];
  if (own !== undefined && own !== "") return resolve(own);
  const state = environment["XDG_STATE_HOME"];
  // The XDG specification says to ignore relative paths.
  const base = state !== undefined && isAbsolute(state) ? state : join(homedir(), ".local", "state");
  return join(base, "lazycluster", "demo");
}

export function demoLayout(directory: string): DemoLayout {
  return {
    directory,
    userKey: join(directory, "id_ed25519"),
    knownHosts: join(directory, "known_hosts"),
    sshConfig: join(directory, "ssh_config"),
  };
}

export function hostLayout(demo: DemoLayout, name: string): HostLayout {
  const directory = join(demo.directory, name);
  return {
    name,
    directory,
    home: join(directory, "home"),
    hostKey: join(directory, "ssh_host_ed25519_key"),
    sshdConfig: join(directory, "sshd_config"),
    authorizedKeys: join(directory, "authorized_keys"),
    loginScript: join(directory, "login.sh"),
    pidFile: join(directory, "sshd.pid"),
    identity: join(directory, "sshd.process"),
    log: join(directory, "sshd.log"),
  };
}

export const hostName = (index: number): string => `host-${index + 1}`;
export const isHostName = (name: string): boolean => /^host-[1-9]\d*$/.test(name);
