/** A document that is too large for one message, from the file that it was written to. */
import { type FileHandle, open } from "fs/promises";
import { LazyclusterError } from "../../errors";
import { type CutDocument, MAX_TREE, WireError, documentLengths } from "../../wire";

/** [bytes] that are read at once. */
const PIECE = 64 * 1024 * 1024;

/**
 * Reads each part into memory of its own, `PIECE` at a time. Rejects WireError for what is no document, LazyclusterError when this machine
 * has not enough memory, the system's error when the file cannot be read.
 *
 * @param longest [bytes] of a buffer; longer ones are left empty. Default: none is.
 */
export async function readDocumentFile(path: string, longest = Infinity): Promise<CutDocument> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const treeSize = size < 4 ? 0 : new DataView(await readPart(file, 0, 4)).getUint32(0);
    if (treeSize === 0 || treeSize > MAX_TREE || treeSize > size - 4)
      throw new WireError("a value document that is cut off");
    const tree = new Uint8Array(await readPart(file, 4, treeSize));
    const lengths = documentLengths(tree);
    let position = 4 + treeSize;
    // Before anything of that size is allocated.
    if (lengths.reduce((sum, length) => sum + length, position) !== size)
      throw new WireError("buffers that do not fill it");
    const buffers: ArrayBuffer[] = [];
    for (const length of lengths) {
      buffers.push(await readPart(file, position, length > longest ? 0 : length));
      position += length;
    }
    return { tree, buffers };
  } finally {
    await file.close();
  }
}

async function readPart(file: FileHandle, position: number, length: number): Promise<ArrayBuffer> {
  const part = allocate(length);
  for (let done = 0; done < length;) {
    const view = new Uint8Array(part, done, Math.min(PIECE, length - done));
    const { bytesRead } = await file.read(view, 0, view.byteLength, position + done);
    if (bytesRead === 0) throw new WireError("a value document that became shorter");
    done += bytesRead;
  }
  return part;
}

function allocate(length: number): ArrayBuffer {
  try {
    return new ArrayBuffer(length);
  } catch (error) {
    throw new LazyclusterError(
      `A value of ${String(length)} bytes does not fit into this process. Let the function write a file, and get that.`,
      { cause: error },
    );
  }
}
