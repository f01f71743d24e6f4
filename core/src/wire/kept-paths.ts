/** The files of objects that a value names, for when nobody wants the value. */
import type { CutDocument } from "./document";
import { EXT } from "./ext";
import { type Decoded, Ext, decode } from "./msgpack";

/** A call gives objects as its value, or inside of lists and maps. Throws WireError for what is no value document. */
export function keptPaths({ tree, buffers }: CutDocument): Uint8Array[] {
  const paths: Uint8Array[] = [];
  const left: Decoded[] = [decode(tree, { ext: true })];
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    if (Array.isArray(value) || value instanceof Map) for (const inner of value.values()) left.push(inner);
    else if (value instanceof Ext && value.type === EXT.handle) {
      const content = decode(value.data, { ext: true });
      const path = content instanceof Map ? content.get("path") : undefined;
      const at = path instanceof Ext && path.type === EXT.buffer ? Buffer.from(path.data) : null;
      const bytes = at?.length === 4 ? buffers[at.readUInt32BE(0)] : undefined;
      if (bytes && bytes.byteLength > 0) paths.push(new Uint8Array(bytes));
    }
  }
  return paths;
}
