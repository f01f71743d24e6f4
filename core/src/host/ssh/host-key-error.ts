/** What to tell about a host that shows another key than it should. */
import type { EngineFailure } from "../../engine/protocol/failure";
import { endpoint, fail, type Target } from "../shared/connection-errors";

export interface ShownKey {
  /** `ssh-ed25519` */
  readonly type: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
}

export interface UnknownHost {
  /** In which it is not, and where it should be stored. */
  readonly file: string;
  /** HostKeyAlias, under which it was looked for; null: its name. */
  readonly alias: string | null;
  /** A @cert-authority line is about it, which the transport does not read. */
  readonly hasAuthority: boolean;
}

export function unknownHost(target: Target, key: ShownKey, { file, alias, hasAuthority }: UnknownHost): EngineFailure {
  const { address, port, host } = target;
  const type = key.type.replace(/^ssh-/, "").replace(/^ecdsa-.*/, "ecdsa");
  return refuse(
    target,
    key,
    file,
    `the host at ${endpoint(target)} is not known: its key ${key.type} ${key.fingerprint} is not in ${file}${alias === null ? "" : ` as "${alias}"`}.` +
      (hasAuthority
        ? ' A @cert-authority line matches, but the transport "ssh2" does not support host certificates: use the transport "openssh".'
        : "") +
      ` Check the fingerprint on the host (ssh-keygen -lf /etc/ssh/ssh_host_${type}_key.pub), then store the key: log in once with ssh ${host}, ` +
      `or run ssh-keyscan -t ${type} -p ${port} ${address} >> ${file}. Or set strictHostKeyChecking: "accept-new" to store new keys by itself.`,
  );
}

/** @param known what the file has instead: `ssh-ed25519 SHA256:…`, as far as that is told. */
export function changedHost(
  target: Target,
  key: ShownKey,
  known: { readonly file: string; readonly line: number; readonly key: string; readonly name: string },
): EngineFailure {
  return refuse(
    target,
    key,
    known.file,
    `the host key HAS CHANGED: possible attack. ${endpoint(target)} shows ${key.type} ${key.fingerprint}, ` +
      `but ${known.file}:${known.line} has ${known.key}. Nothing was sent. ` +
      `Ask who runs the host. If it was truly installed anew, remove the old key with ssh-keygen -R '${known.name}' -f '${known.file}'.`,
  );
}

/** Within a connection. */
export function changedMeanwhile(target: Target, key: ShownKey, before: ShownKey, file: string): EngineFailure {
  return refuse(
    target,
    key,
    file,
    `the host key HAS CHANGED within the connection: possible attack. ${endpoint(target)} shows ${key.type} ${key.fingerprint}, ` +
      `but logged us in with ${before.type} ${before.fingerprint}. The connection was ended. Ask who runs the host.`,
  );
}

/** @param where the entry that says so. */
export function revokedHost(target: Target, key: ShownKey, file: string, where: string): EngineFailure {
  return refuse(
    target,
    key,
    file,
    `the host key ${key.type} ${key.fingerprint} of ${endpoint(target)} is revoked by ${where}: ` +
      "it may be in wrong hands. Nothing was sent. Ask who runs the host for a new key.",
  );
}

function refuse(target: Target, { fingerprint }: ShownKey, knownHostsFile: string, what: string): EngineFailure {
  return fail(target, "ERR_HOST_KEY", what, { fingerprint, knownHostsFile });
}
