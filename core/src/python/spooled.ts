/** Arguments as an engine takes them: a copy in memory, or in a private file where they are too large for that. */
import { closeSync, openSync, rmSync, writeSync } from "fs";
import { removeSpool, spoolPath } from "../engine/journal";
import { type ArgumentData, IN_MEMORY } from "../engine/protocol";
import { LazyclusterError } from "../errors";
import type { EncodedDocument } from "./values";

/** Whose holder nobody can reach any more. */
const forgotten = new FinalizationRegistry<string>((path) => rmSync(path, { force: true }));
let watching = false;

/** A copy: what the caller does with the values afterwards does not count. Throws LazyclusterError for a full disk. */
export function packArguments(document: EncodedDocument): ArgumentData {
  if (document.size > IN_MEMORY) return new SpooledArguments(document);
  return { kind: "memory", bytes: Buffer.concat([document.head, ...document.buffers], document.size) };
}

/** Files of values that are still there at exit are removed then. */
export function watchSpool(): void {
  if (watching) return;
  watching = true;
  process.once("exit", removeSpool);
}

/** A file that several tasks may share; it is removed with the last of them. */
export class SpooledArguments {
  readonly kind = "file";
  readonly path: string;
  readonly size: number;
  #holders = 0;

  constructor({ head, buffers, size }: EncodedDocument) {
    watchSpool();
    this.size = size;
    try {
      this.path = spoolPath();
      const file = openSync(this.path, "wx", 0o600);
      try {
        for (const part of [head, ...buffers]) write(file, part);
      } catch (error) {
        rmSync(this.path, { force: true });
        throw error;
      } finally {
        closeSync(file);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new LazyclusterError(
        `Arguments of ${String(size)} bytes could not be kept in a file of the manager: ${reason}. ` +
          `Free some space, or name another folder with LAZYCLUSTER_STATE_DIR.`,
        { cause: error },
      );
    }
    forgotten.register(this, this.path, this);
  }

  /** One more task needs it. */
  hold(): void {
    this.#holders += 1;
  }

  /** One task needs it no more. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    forgotten.unregister(this);
    rmSync(this.path, { force: true });
  }
}

/** [bytes] of one write; the system takes less than 2 GiB at once. */
const PIECE = 64 * 1024 * 1024;

function write(file: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.byteLength;) {
    offset += writeSync(file, bytes, offset, Math.min(PIECE, bytes.byteLength - offset));
  }
}
