/** The failures of OpenSSH's client, read from what it writes at LogLevel DEBUG1, in our words. Pure. */
import type { EngineFailure } from "../../engine/protocol/failure";
import { harmless } from "../shared/harmless";
import { refused } from "../ssh/auth-error";
import {
  banned,
  busy,
  endpoint,
  fail,
  jumpCannotReach,
  jumpForbids,
  noSshServer,
  unreachable,
  type Target,
} from "../shared/connection-errors";
import { changedHost, revokedHost, unknownHost, type ShownKey } from "../ssh/host-key-error";
import { knownHostsName } from "../ssh/known-hosts";
import { shortPath } from "../ssh/key-file";
import { DroppedUnheard } from "../ssh/ramp";

export interface FailedLogin {
  readonly target: Target;
  /** The jump host before it: its name, and what its own ssh wrote. */
  readonly jump: { readonly host: string; readonly stderr: string } | null;
  readonly byProxyCommand: boolean;
  readonly userKnownHostsFile: string;
  readonly hostKeyAlias: string | null;
  /** What the options gave and did not fit. */
  readonly notes: readonly string[];
  /** Nobody could be asked. */
  readonly silent: boolean;
}

/** What the login waits for, for the sentence of a time-out. */
export function unfinished(stderr: string): string {
  if (/^debug1: Authenticating to /m.test(stderr)) return "did not finish the login";
  if (/^debug1: (Connection established|Executing proxy command)/m.test(stderr))
    return "accepted the connection, but did not finish the ssh handshake";
  return "did not answer";
}

/** Whether a piece of its words tells that the host, or what is before it, is there. */
export function hasAnswered(words: string): boolean {
  return /^debug1: (Connection established|Remote protocol version)/m.test(words);
}

const DEBUG = /^debug\d: /;

/** EngineFailure, or DroppedUnheard, which is worth a second try. */
export function explainOpenSsh(stderr: string, login: FailedLogin): Error {
  const lines = harmless(stderr.replaceAll("\r", ""))
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "");
  return hostKey(lines, login) ?? network(lines, login) ?? authentication(lines, login) ?? other(lines, login);
}

function hostKey(lines: readonly string[], { target, userKnownHostsFile, hostKeyAlias }: FailedLogin): Error | null {
  if (!lines.includes("Host key verification failed.")) return null;
  const [, type = "", fingerprint = ""] =
    find(lines, /^debug1: Server host (?:key|certificate): (\S+) (SHA256:\S+)/) ?? [];
  const key: ShownKey = {
    type: type.replace(/-cert-v01@openssh\.com$/, ""),
    fingerprint: fingerprint.replace(/,$/, ""),
  };
  const name = hostKeyAlias ?? knownHostsName(target.address, target.port);
  if (type === "") return null; // of another host: see other()

  const byFile = find(lines, /^Host key .* revoked by file (.+)$/)?.[1];
  if (byFile !== undefined) return revokedHost(target, key, byFile, byFile);
  if (find(lines, / was revoked and you have requested strict checking| is marked as revoked/))
    return revokedHost(
      target,
      key,
      userKnownHostsFile,
      `an entry of ${userKnownHostsFile}, or another known_hosts file`,
    );
  const offending = find(lines, /^Offending (\S+) key in (.+):(\d+)$/);
  if (find(lines, /REMOTE HOST IDENTIFICATION HAS CHANGED/) ?? find(lines, /^Host key for .* has changed/)) {
    const [, kind = "another", file = userKnownHostsFile, line = "0"] = offending ?? [];
    return changedHost(target, key, { file, line: Number(line), key: `another ${kind} key`, name });
  }
  const certificate = find(lines, /^(Certificate invalid: .*|.*certificate.*)$/i)?.[1];
  if (certificate !== undefined && !DEBUG.test(certificate))
    return fail(
      target,
      "ERR_HOST_KEY",
      `the certificate of the host at ${endpoint(target)} is not valid: ${certificate}. Ask who runs the host.`,
      {
        fingerprint: key.fingerprint,
        knownHostsFile: userKnownHostsFile,
      },
    );
  return unknownHost(target, key, { file: userKnownHostsFile, alias: hostKeyAlias, hasAuthority: false });
}

const ERRNO: readonly (readonly [RegExp, string])[] = [
  [/Name or service not known|nodename nor servname|No address associated|not known/, "ENOTFOUND"],
  [/Temporary failure in name resolution/, "EAI_AGAIN"],
  [/Connection refused/, "ECONNREFUSED"],
  [/No route to host/, "EHOSTUNREACH"],
  [/Network is unreachable/, "ENETUNREACH"],
  [/timed out/, "ETIMEDOUT"],
  [/Cannot assign requested address|Address already in use/, "EADDRNOTAVAIL"],
  [/Permission denied|Operation not permitted/, "EACCES"],
];

function network(lines: readonly string[], { target, jump, byProxyCommand }: FailedLogin): Error | null {
  const failed =
    find(lines, /^ssh: (Could not resolve hostname .*)$/) ??
    find(lines, /^ssh: (connect to host .*|connect to address .*)$/);
  if (failed && jump === null && !byProxyCommand) {
    const text = failed[1] ?? "";
    const errno = ERRNO.find(([pattern]) => pattern.test(text))?.[1];
    return unreachable(target, Object.assign(new Error(text), errno === undefined ? {} : { code: errno }));
  }
  const banner = find(lines, /^debug1: kex_exchange_identification: banner line \d+: (.*)$/)?.[1];
  if (banner !== undefined && banner.startsWith("Not allowed at this time")) return banned(target, new Error(banner));
  if (banner !== undefined && !/MaxStartups/i.test(banner)) return noSshServer(target, banner, new Error(banner));
  const negotiate = find(lines, /^Unable to negotiate with \S+(?: port \d+)?: (.*)$/)?.[1];
  if (negotiate !== undefined)
    return fail(target, "ERR_CONNECTION", `the ssh handshake with ${endpoint(target)} failed: ${negotiate}.`);
  if (
    find(lines, /^debug1: Authenticating to /) === null &&
    find(lines, /^(?:kex_exchange|ssh_exchange)_identification: |^Connection (?:closed|reset) by /)
  )
    return jump === null && !byProxyCommand ? new DroppedUnheard(busy(target, new Error(lines.at(-1)))) : null;
  return null;
}

function authentication(lines: readonly string[], { target, notes, silent }: FailedLogin): Error | null {
  const denied = find(lines, /^\S+: Permission denied \((.*)\)\.$/)?.[1];
  const disconnected = find(lines, /^Received disconnect from .* port \d+:\d+: (.*)$/)?.[1] ?? null;
  const begun = find(lines, /^debug1: Authentications that can continue: (.*)$/)?.[1];
  if (denied === undefined && (disconnected === null || begun === undefined)) return null;
  // The last word of the host on what it takes, in a login of several steps.
  const accepted = (denied ?? begun ?? "").split(",").filter(Boolean);
  const offered = all(lines, /^debug1: Offering public key: (.+) (\S+) SHA256:\S+(.*)$/);
  const ofAgent = offered.filter(([, , , source]) => source?.includes("agent") === true).length;
  const methods = all(lines, /^debug1: Next authentication method: (\S+)$/).map(([, method = ""]) => method);
  const used = methods.filter((method) => method !== "publickey" && asked(lines, method));
  const tried = [
    ...(ofAgent > 0 ? [`agent (${ofAgent} ${ofAgent === 1 ? "key" : "keys"})`] : []),
    ...offered.filter(([, , , source]) => source?.includes("agent") !== true).map(([, path = ""]) => shortPath(path)),
    ...used,
  ];
  const missing = all(lines, /^no such identity: (.+): No such file or directory$/).map(
    ([, path = ""]) => `${shortPath(path)}: missing`,
  );
  const wrong = all(lines, /^Load key "(.+)": (.*)$/).map(
    ([, path = "", why = ""]) => `${shortPath(path)}: ${/passphrase/.test(why) ? "no passphrase fitted" : why}`,
  );
  const locked = silent && find(lines, /^debug1: Server accepts key: (.+) \S+ SHA256:(?!.*agent)/)?.[1];
  const encrypted =
    typeof locked === "string" && wrong.length === 0
      ? [
          `${shortPath(locked)}: encrypted; give its passphrase with the option passphrase, use an ssh agent, or give a prompt`,
        ]
      : [];
  return refused(target, {
    tried: [...new Set(tried)],
    notes: [...notes, ...missing, ...(notes.length > 0 ? [] : wrong), ...encrypted],
    accepted,
    serverSaid: disconnected,
  });
}

/** A method that ssh came to, but had nothing for, was not tried. */
function asked(lines: readonly string[], method: string): boolean {
  const from = lines.findIndex((line) => line === `debug1: Next authentication method: ${method}`);
  return lines.slice(from + 1).some((line) => line.startsWith("debug1: read_passphrase"));
}

function other(lines: readonly string[], { target, jump, byProxyCommand }: FailedLogin): EngineFailure {
  const said = lines.filter(
    (line) => !DEBUG.test(line) && !/UNKNOWN port 65535|^kex_exchange_identification/.test(line),
  );
  const words = said.slice(-4).join("; ") || "nothing";
  if (jump !== null && find(said, /stdio forwarding/i)) {
    // The reason is told to who asked for the channel, the ssh of the jump host.
    const why = all(jump.stderr.split(/\r?\n/), /open failed: (.*)$/).at(-1)?.[1] ?? words;
    return why.startsWith("administratively prohibited")
      ? jumpForbids(target, jump.host, why)
      : jumpCannotReach(target, jump.host, why.replace(/^connect failed: /, ""));
  }
  if (byProxyCommand) {
    const code = said.some((line) => /Permission denied \(/.test(line)) ? "ERR_AUTHENTICATION" : "ERR_CONNECTION";
    return fail(
      target,
      said.includes("Host key verification failed.") ? "ERR_HOST_KEY" : code,
      `the ProxyCommand of the ssh config ended before the login was through. It said: ${words}. Try it by hand: ssh ${target.host}.`,
    );
  }
  if (find(lines, /Bad configuration option|terminating, \d+ bad|Bad owner or permissions/))
    return fail(target, "ERR_INVALID_RUNTIME", `ssh does not start: ${words}. Correct the ssh config.`);
  return fail(
    target,
    "ERR_CONNECTION",
    `${endpoint(target)} closed the connection during the login. ssh said: ${words}. Its sshd's log may say why.`,
  );
}

function find(lines: readonly string[], pattern: RegExp): RegExpExecArray | null {
  for (const line of lines) {
    const match = pattern.exec(line);
    if (match) return match;
  }
  return null;
}

function all(lines: readonly string[], pattern: RegExp): RegExpExecArray[] {
  return lines.flatMap((line) => {
    const match = pattern.exec(line);
    return match ? [match] : [];
  });
}
