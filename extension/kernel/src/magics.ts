/** The library's commands, for `%lazycluster`. They are loaded when the first is used: a notebook without any pays nothing. */
import { existsSync } from "fs";
import { createRequire } from "module";
import { join } from "path";
import type { Magics } from "lazycluster/notebook";

export function libraryMagics(library: string): Magics {
  let loaded: Magics | null = null;
  const load = (): Magics => {
    const file = join(library, "dist", "cli", "notebook", "index.js");
    if (!existsSync(file)) {
      throw new Error(`The lazycluster of this folder (${library}) knows no %lazycluster: it is of another version.`);
    }
    return (loaded ??= (createRequire(__filename)(file) as { magics: Magics }).magics);
  };
  return {
    show: async (line, body, host) => load().show(line, body, host),
    value: async (line, body, host) => load().value(line, body, host),
    complete: async (line, kind) => load().complete(line, kind),
    help: async (line, kind) => load().help(line, kind),
  };
}
