/** Adds a host's key to known_hosts, for the policy `accept-new`. */

import { createHmac, randomBytes } from "node:crypto";
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";

/** Appends one line in one write, so that two processes never mix theirs. */
export async function storeKnownHost(
  file: string,
  entry: { readonly name: string; readonly type: string; readonly blob: Buffer; readonly hashed: boolean },
): Promise<void> {
  const name = entry.hashed ? hashedName(entry.name) : entry.name;
  // Only `~/.ssh` itself, as OpenSSH does; when it is there already, open() has the last word.
  await mkdir(dirname(file), { mode: 0o700 }).catch(() => undefined);
  const handle = await open(file, "a+", 0o600);
  try {
    const { size } = await handle.stat();
    const last = Buffer.alloc(1);
    if (size > 0) await handle.read(last, 0, 1, size - 1);
    // An editor may have left the last line open.
    const separator = size > 0 && last.toString("latin1") !== "\n" ? "\n" : "";
    await handle.appendFile(`${separator}${name} ${entry.type} ${entry.blob.toString("base64")}\n`);
  } finally {
    await handle.close();
  }
}

/** As `HashKnownHosts yes` makes OpenSSH store it. SHA-1 is part of that format; it hides names, it does not protect keys. */
function hashedName(name: string): string {
  const salt = randomBytes(20);
  const hash = createHmac("sha1", salt).update(name).digest("base64");
  return `|1|${salt.toString("base64")}|${hash}`;
}
