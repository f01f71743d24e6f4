/** ssh2 takes a tenth of a second to load, so only who logs in with it pays for it. */

export type Ssh2 = typeof import("ssh2");

let loading: Promise<Ssh2> | undefined;

export function loadSsh2(): Promise<Ssh2> {
  // The default export is module.exports itself; not all of its names are visible to an import().
  loading ??= import("ssh2").then((module) => module.default);
  return loading;
}
