/** Folders of a test file on the manager, and the settings that keep it from the user's own. */
import { mkdirSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "../hosts";
import { Environment } from "./lazycluster";

const MANAGER_TMP = "manager-tmp";

export interface Workspace {
  /** Removed at the end. */
  readonly dir: string;
  /** A path in it that does not exist yet. */
  path(name: string): string;
  /** What processes of this library need to use the same settings. */
  readonly env: Record<string, string>;
  remove(): void;
}

/** @param configFile of the hosts; null: none. */
export function workspace(configFile: string | null): Workspace {
  const dir = mkdtempSync(join(tmpdir(), "lazycluster-test-"));
  const env = {
    LAZYCLUSTER_MAIN_DIRECTORY: join(dir, "main"),
    LAZYCLUSTER_STATE_DIR: join(dir, "state"),
    // For control sockets: those of managers that are killed would stay.
    TMPDIR: join(dir, MANAGER_TMP),
    ...(configFile === null ? {} : { LAZYCLUSTER_SSH_CONFIG: configFile }),
  };
  mkdirSync(env.TMPDIR, { mode: 0o1777 });
  const { TMPDIR } = process.env;
  Object.assign(process.env, env);
  // No agent of the machine takes part.
  delete process.env["SSH_AUTH_SOCK"];
  Environment.setMainDirectory(env.LAZYCLUSTER_MAIN_DIRECTORY);
  let count = 0;
  return {
    dir,
    env,
    path: (name) => join(dir, `${String((count += 1))}-${name}`),
    remove: () => {
      if (TMPDIR === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = TMPDIR;
      removeTree(dir);
    },
  };
}

/** Names below `dir`, at any depth, that a transfer or a step of ours should have removed. */
export function leftovers(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" }).filter(
    (name) => /(^|\/)(\.lazycluster-|lazycluster-)[^/]*$/.test(name) && !name.startsWith(`${MANAGER_TMP}/`),
  );
}
