/** The steps that move files. */
import { type Stats, statSync } from "fs";
import { basename, resolve } from "path";
import { oneLine } from "../display";
import type { StepSpec } from "../engine/protocol";
import { InvalidArgumentError } from "../errors";
import { requireFlag, requireOptions, requirePath, show } from "../validate";

export interface TransferOptions {
  /** `"hash"`: every file is read again at its target, and its SHA-256 compared; default: no. */
  verify?: "hash";
  /**
   * True: when the transfer is interrupted (cancelled, connection lost), what came of files from 16 MiB on is kept as a
   * hidden file beside the target, and the next transfer of the same target with this option goes on there; default false.
   */
  resume?: boolean;
}

export interface SyncOptions extends TransferOptions {
  /** `"up"`: the host's folder becomes as the local one (default); `"down"`: the reverse. */
  direction?: "up" | "down";
  /** True: what is only at the target is removed there, but for what is ignored; default false. */
  delete?: boolean;
  /** `"hash"`: also what has the same size and time is compared by its content. */
  verify?: "hash";
  /** True: nothing is changed; the log lists what would be; default false. */
  dryRun?: boolean;
}

export const TRANSFER_OPTIONS = ["verify", "resume"] as const;
export const SYNC_OPTIONS = [...TRANSFER_OPTIONS, "direction", "delete", "dryRun"] as const;

export function sendFileStep(localPath: string, remotePath?: string, options?: TransferOptions): StepSpec {
  const local = requirePath(localPath, "sendFile: the local path");
  const absolute = absolutePath(local);
  look(absolute, "sendFile", "file or folder");
  const remote = remotePath === undefined ? null : requirePath(remotePath, "sendFile: the remote path");
  const description = oneLine(`send ${local}${remote === null ? "" : ` to ${remote}`}`);
  const given = transferOptions(requireOptions(options, TRANSFER_OPTIONS, "sendFile"), "sendFile");
  return Object.freeze({ kind: "sendFile", description, localPath: absolute, remotePath: remote, ...given });
}

export function getFileStep(remotePath: string, localPath?: string, options?: TransferOptions): StepSpec {
  const remote = requirePath(remotePath, "getFile: the remote path");
  const name = basename(remote);
  if (localPath === undefined && isNameless(name)) {
    throw new InvalidArgumentError(
      `getFile: ${show(remote)} has no name of its own; say where it shall go as the second argument.`,
    );
  }
  const local = localPath === undefined ? name : requirePath(localPath, "getFile: the local path");
  const description = oneLine(`get ${remote}${localPath === undefined ? "" : ` to ${local}`}`);
  const given = transferOptions(requireOptions(options, TRANSFER_OPTIONS, "getFile"), "getFile");
  return Object.freeze({ kind: "getFile", description, remotePath: remote, localPath: absolutePath(local), ...given });
}

export function syncFolderStep(localPath: string, remotePath?: string, options?: SyncOptions): StepSpec {
  const local = requirePath(localPath, "syncFolder: the local path");
  const absolute = resolve(local);
  const given = requireOptions(options, SYNC_OPTIONS, "syncFolder");
  const direction = given["direction"] ?? "up";
  if (direction !== "up" && direction !== "down") {
    throw new InvalidArgumentError(`syncFolder: direction must be "up" or "down", not ${show(direction)}.`);
  }
  if (direction === "up" && !look(absolute, "syncFolder", "folder").isDirectory()) {
    throw new InvalidArgumentError(`syncFolder: ${absolute} is no folder; sendFile sends a file.`);
  }
  const name = basename(absolute);
  if (remotePath === undefined && isNameless(name)) {
    throw new InvalidArgumentError(`syncFolder: ${show(local)} has no name of its own; name the folder on the host.`);
  }
  // A folder that is called `~` is not the home directory.
  const remote = remotePath === undefined ? `./${name}` : requirePath(remotePath, "syncFolder: the remote path");
  const flag = (option: string): boolean =>
    given[option] === undefined ? false : requireFlag(given[option], `syncFolder: ${option}`);
  const [from, to] = direction === "up" ? [local, remote] : [remote, local];
  return Object.freeze({
    kind: "syncFolder",
    description: oneLine(`sync ${from} to ${to}`),
    localPath: absolute,
    remotePath: remote,
    direction,
    delete: flag("delete"),
    dryRun: flag("dryRun"),
    ...transferOptions(given, "syncFolder"),
  });
}

function transferOptions(
  given: Readonly<Record<string, unknown>>,
  what: string,
): { readonly verify: boolean; readonly resume: boolean } {
  const { verify, resume } = given;
  if (verify !== undefined && verify !== "hash") {
    throw new InvalidArgumentError(`${what}: verify must be "hash", or left out, not ${show(verify)}.`);
  }
  return {
    verify: verify === "hash",
    resume: resume === undefined ? false : requireFlag(resume, `${what}: resume`),
  };
}

/** With a slash at the end, which means a folder to put it into. */
function absolutePath(path: string): string {
  return resolve(path) + (path.endsWith("/") ? "/" : "");
}

function isNameless(name: string): boolean {
  return ["", ".", "..", "~"].includes(name);
}

function look(path: string, what: string, kind: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    throw new InvalidArgumentError(`${what}: there is no ${kind} ${path} on the manager.`, { cause: error });
  }
}
