import type { DemoHost, DemoState } from "./hosts";

/** What `lazycluster demo up|status|down` prints. */
export function demoCommandOutput(state: DemoState): string {
  if (state.hosts.length === 0) {
    return "There are no demo hosts. Start some with: lazycluster demo up";
  }
  const width = Math.max(...state.hosts.map(({ name }) => name.length));
  const lines = state.hosts.map((host) => `${host.name.padEnd(width)}  ${describe(host)}`);
  const isUp = state.hosts.some(({ pid }) => pid !== null);
  return [...lines, ...(isUp ? ["", ...usage(state)] : [])].join("\n");
}

const describe = ({ pid, port, home }: DemoHost): string =>
  pid === null || port === null ? `stopped  ${home}` : `running  127.0.0.1:${port}  pid ${pid}  ${home}`;

const usage = ({ sshConfig, hosts }: DemoState): string[] => [
  "Use them with:",
  `  export LAZYCLUSTER_SSH_CONFIG=${shellQuoted(sshConfig)}`,
  `  ssh -F ${shellQuoted(sshConfig)} ${hosts.find(({ pid }) => pid !== null)?.name ?? ""}`,
];

/** For people who copy the line into their shell. */
const shellQuoted = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
